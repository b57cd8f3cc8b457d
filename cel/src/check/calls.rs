//! Calls: which overloads apply, and what results.
//!
//! Follows `checkCall` and `resolveOverload` of cel-go's `checker/checker.go`.

use std::sync::Arc;

use ::cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

use super::unify::{Mapping, same};
use super::walk::{Checker, qualified_name};
use crate::checked::Reference;
use crate::overload::{Overload, Style};
use crate::types::Type;

impl Checker<'_> {
    pub(super) fn call(&mut self, node: &mut IdedExpr) {
        let id = node.id;
        let Expr::Call(call) = &mut node.expr else { return };
        if call.func_name == operators::OPT_SELECT {
            if let [operand, IdedExpr { expr: Expr::Literal(LiteralValue::String(field)), id: field_id }] =
                call.args.as_mut_slice()
            {
                let (field, field_id) = (field.inner().to_owned(), *field_id);
                self.optional_field(id, operand, &field, field_id);
            }
            return;
        }
        let mut given: Vec<Type> = call.args.iter_mut().map(|arg| self.check(arg)).collect();
        let Some(target) = &mut call.target else {
            let function = call.func_name.clone();
            match self.environment.function(&function) {
                Some((name, overloads)) => {
                    name.clone_into(&mut call.func_name);
                    let ids: Vec<u64> = call.args.iter().map(|arg| arg.id).collect();
                    self.resolve_call(id, name, overloads, Style::Global, &given, &ids);
                }
                None => self.undeclared(id, &function),
            }
            return;
        };
        // What looks like a target may be the first part of a function's name.
        let full = qualified_name(target).map(|(_, name)| format!("{name}.{}", call.func_name));
        if let Some((name, overloads)) = full.and_then(|name| self.environment.function(&name)) {
            name.clone_into(&mut call.func_name);
            call.target = None;
            self.resolve_call(id, name, overloads, Style::Global, &given, &[]);
            return;
        }
        given.insert(0, self.check(target));
        let function = call.func_name.clone();
        match self.environment.function(&function) {
            Some((name, overloads)) => self.resolve_call(id, name, overloads, Style::Receiver, &given, &[]),
            None => self.undeclared(id, &function),
        }
    }

    fn optional_field(&mut self, id: u64, operand: &mut IdedExpr, field: &str, field_id: u64) {
        let found = self.field(id, operand, field);
        let of = self.known(&self.type_of(operand.id));
        // The field of an optional is an optional already.
        let found = if matches!(of, Type::Optional(_)) { found } else { Type::optional(found) };
        let found = self.known(&found);
        self.types.insert(id, found);
        self.types.insert(field_id, Type::String);
        let overloads = self.environment.function(operators::OPT_SELECT).map(|(_, overloads)| overloads.to_vec());
        self.references.insert(id, Reference::Call(overloads.unwrap_or_default()));
    }

    fn resolve_call(
        &mut self,
        id: u64,
        function: &str,
        overloads: &[Arc<Overload>],
        style: Style,
        given: &[Type],
        args: &[u64],
    ) {
        let mut applicable = Vec::new();
        let mut result: Option<Type> = None;
        if matches!(function, operators::LOGICAL_AND | operators::LOGICAL_OR) {
            result = self.logical(given, args);
            if result.is_none() {
                self.types.insert(id, Type::Error);
                return;
            }
            applicable.extend(overloads.iter().map(Arc::clone));
        } else {
            for overload in overloads.iter().filter(|overload| overload.style == style) {
                let (params, returned) = self.instantiate(overload);
                let given: Vec<&Type> = given.iter().collect();
                if !self.mapping.unify(&given, &params.iter().collect::<Vec<_>>()) {
                    continue;
                }
                applicable.push(Arc::clone(overload));
                let returned = self.known(&returned);
                result = Some(match result {
                    None => returned,
                    Some(before) if matches!(before, Type::Dyn) || same(&before, &returned) => before,
                    Some(_) => Type::Dyn,
                });
            }
        }
        let Some(result) = result else {
            self.no_overload(id, function, style, given);
            return;
        };
        self.types.insert(id, result);
        self.references.insert(id, Reference::Call(applicable));
    }

    /// `&&` and `||` say which of their sides is wrong.
    fn logical(&mut self, given: &[Type], args: &[u64]) -> Option<Type> {
        let mut fits = true;
        for (found, arg) in given.iter().zip(args) {
            if !self.assignable(found, &Type::Bool) {
                self.mismatch(*arg, &Type::Bool, found);
                fits = false;
            }
        }
        fits.then_some(Type::Bool)
    }

    /// The overload's types, its parameters replaced by fresh variables.
    fn instantiate(&mut self, overload: &Overload) -> (Vec<Type>, Type) {
        let mut names = Vec::new();
        for of in overload.params.iter().chain([&overload.result]) {
            parameters(of, &mut names);
        }
        if names.is_empty() {
            return (overload.params.clone(), overload.result.clone());
        }
        let fresh = Mapping::of(names.into_iter().map(|name| (name, self.fresh())));
        let params = overload.params.iter().map(|param| fresh.substitute(param, None)).collect();
        (params, fresh.substitute(&overload.result, None))
    }

    fn no_overload(&mut self, id: u64, function: &str, style: Style, given: &[Type]) {
        let known: Vec<String> =
            given.iter().map(|found| self.mapping.substitute(found, Some(&Type::Dyn)).to_string()).collect();
        let signature = match (style, known.split_first()) {
            (Style::Receiver, Some((target, args))) => format!("{target}.({})", args.join(", ")),
            _ => format!("({})", known.join(", ")),
        };
        self.report(id, format!("found no matching overload for '{function}' applied to '{signature}'"));
        self.types.insert(id, Type::Error);
    }
}

/// The type parameters in a type, each once.
fn parameters(of: &Type, names: &mut Vec<Arc<str>>) {
    match of {
        Type::Param(name) if !names.contains(name) => names.push(Arc::clone(name)),
        Type::List(inner) | Type::Optional(inner) | Type::TypeOf(inner) => parameters(inner, names),
        Type::Map(key, value) => {
            parameters(key, names);
            parameters(value, names);
        }
        _ => {}
    }
}
