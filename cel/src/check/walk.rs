//! The walk over the tree: names, fields, and comprehensions with their scopes.
//!
//! Follows cel-go's `checker/checker.go` and `checker/scopes.go`.

use std::collections::HashMap;

use ::cel::common::ast::{ComprehensionExpr, Expr, IdedExpr, SourceInfo};

use super::environment::{Environment, type_named};
use super::unify::Mapping;
use crate::checked::{Checked, Reference};
use crate::declared::Shape;
use crate::declared::names::is_reserved;
use crate::issues::Issues;
use crate::types::{ObjectType, Type};

/// A check under way.
pub(super) struct Checker<'a> {
    pub(super) environment: &'a Environment,
    variables: &'a [(&'a str, Type)],
    source: SourceInfo,
    /// The variables of the comprehensions around, the innermost last.
    locals: Vec<(String, Type)>,
    pub(super) mapping: Mapping,
    free: usize,
    pub(super) types: HashMap<u64, Type>,
    pub(super) references: HashMap<u64, Reference>,
    issues: Issues,
}

impl<'a> Checker<'a> {
    pub(super) fn new(environment: &'a Environment, variables: &'a [(&'a str, Type)], source: SourceInfo) -> Self {
        Self {
            environment,
            variables,
            source,
            locals: Vec::new(),
            mapping: Mapping::default(),
            free: 0,
            types: HashMap::new(),
            references: HashMap::new(),
            issues: Issues::default(),
        }
    }

    /// Checks the whole. Free type variables become `dyn`.
    pub(super) fn run(mut self, mut expr: IdedExpr) -> (Checked, Issues) {
        self.check(&mut expr);
        let Self { mapping, mut types, references, source, issues, .. } = self;
        for found in types.values_mut() {
            *found = mapping.substitute(found, Some(&Type::Dyn));
        }
        let result = types.get(&expr.id).cloned().unwrap_or(Type::Dyn);
        (Checked { expr, source, types, references, result }, issues)
    }

    /// Notes a fault at a node.
    pub(super) fn report(&mut self, node: u64, message: String) {
        self.issues.report(self.source.offset_for(node).map(|(start, _)| start), message);
    }

    /// Notes a name that stands for nothing.
    pub(super) fn undeclared(&mut self, node: u64, name: &str) {
        self.report(node, format!("undeclared reference to '{name}' (in container '')"));
        self.types.insert(node, Type::Error);
    }

    /// Notes that a node is not what it has to be.
    pub(super) fn mismatch(&mut self, node: u64, wanted: &Type, found: &Type) {
        self.report(node, format!("expected type '{wanted}' but found '{found}'"));
    }

    /// The type of a node that was checked.
    pub(super) fn type_of(&self, node: u64) -> Type {
        self.types.get(&node).cloned().unwrap_or(Type::Error)
    }

    /// The type with what is known of its parameters.
    pub(super) fn known(&self, of: &Type) -> Type {
        self.mapping.substitute(of, None)
    }

    /// Lets `given` stand for `wanted`, if it can.
    pub(super) fn assignable(&mut self, given: &Type, wanted: &Type) -> bool {
        self.mapping.unify(&[given], &[wanted])
    }

    /// A type variable that nothing is known of.
    pub(super) fn fresh(&mut self) -> Type {
        let variable = Type::param(&format!("_var{}", self.free));
        self.free += 1;
        variable
    }

    /// Checks a node and gives its type.
    pub(super) fn check(&mut self, node: &mut IdedExpr) -> Type {
        let id = node.id;
        match &mut node.expr {
            Expr::Literal(value) => {
                let found = super::literals::type_of(value);
                self.types.insert(id, found);
            }
            Expr::Ident(_) => self.ident(node),
            Expr::Select(_) => self.select(node),
            Expr::Call(_) => self.call(node),
            Expr::List(list) => {
                let found = self.list(list);
                self.types.insert(id, found);
            }
            Expr::Map(map) => {
                let found = self.map(map);
                self.types.insert(id, found);
            }
            Expr::Struct(structure) => {
                let name = structure.type_name.clone();
                self.structure(id, &name);
            }
            Expr::Comprehension(comprehension) => {
                let found = self.comprehension(comprehension);
                self.types.insert(id, found);
            }
            // The parser gives none of these without an error.
            Expr::Unspecified => drop(self.types.insert(id, Type::Error)),
        }
        self.type_of(id)
    }

    fn ident(&mut self, node: &mut IdedExpr) {
        let Expr::Ident(name) = &node.expr else { return };
        let name = name.clone();
        if !self.resolve(node, &name, &name) {
            self.undeclared(node.id, &name);
        }
    }

    /// Makes the node a reference if `name`, whose first part is `first`, is a variable or a type.
    fn resolve(&mut self, node: &mut IdedExpr, first: &str, name: &str) -> bool {
        let local = self.locals.iter().rev().find(|(local, _)| local == first.strip_prefix('.').unwrap_or(first));
        if let Some((local, found)) = local.filter(|_| !first.starts_with('.')) {
            // The fields of a local variable are selected; they are no qualified name.
            if local != name {
                return false;
            }
            self.references.insert(node.id, Reference::Variable(local.clone()));
            self.types.insert(node.id, found.clone());
            return true;
        }
        let shadowed = local.is_some();
        let name = name.strip_prefix('.').unwrap_or(name);
        if let Some((_, found)) = self.variables.iter().find(|(variable, _)| *variable == name) {
            // A leading dot keeps apart what a local variable hides.
            let written = if shadowed { format!(".{name}") } else { name.to_owned() };
            self.types.insert(node.id, found.clone());
            self.references.insert(node.id, Reference::Variable(written.clone()));
            node.expr = Expr::Ident(written);
            return true;
        }
        let Some(named) = type_named(name) else { return false };
        self.types.insert(node.id, Type::type_of(named.clone()));
        self.references.insert(node.id, Reference::TypeName(named));
        node.expr = Expr::Ident(name.to_owned());
        true
    }

    fn select(&mut self, node: &mut IdedExpr) {
        if let Some((first, name)) = qualified_name(node)
            && self.resolve(node, &first, &name)
        {
            return;
        }
        let id = node.id;
        let Expr::Select(select) = &mut node.expr else { return };
        let found = self.field(id, &mut select.operand, &select.field);
        let found = if select.test { Type::Bool } else { self.known(&found) };
        self.types.insert(id, found);
    }

    /// The type of a field of `operand`; of an optional's field, an optional.
    pub(super) fn field(&mut self, node: u64, operand: &mut IdedExpr, field: &str) -> Type {
        let operand = self.check(operand);
        let operand = self.known(&operand);
        let (target, optional) = match &operand {
            Type::Optional(value) => (&**value, true),
            other => (other, false),
        };
        let found = match target {
            Type::Map(_, value) => (**value).clone(),
            Type::Object(object) => field_type(object, field).unwrap_or_else(|| {
                self.report(node, format!("undefined field '{field}'"));
                Type::Error
            }),
            Type::Param(_) => {
                self.assignable(&Type::Dyn, target);
                Type::Dyn
            }
            Type::Dyn | Type::Error => Type::Dyn,
            // These are messages to cel-go, of which its provider knows nothing.
            Type::Opaque(name) if name.starts_with("kubernetes.") => {
                self.report(node, format!("unexpected failed resolution of '{name}'"));
                Type::Error
            }
            _ => {
                self.report(node, format!("type '{target}' does not support field selection"));
                Type::Dyn
            }
        };
        if optional { Type::optional(found) } else { found }
    }

    fn comprehension(&mut self, of: &mut ComprehensionExpr) -> Type {
        let range = self.check(&mut of.iter_range);
        let accumulated = self.check(&mut of.accu_init);
        let range = self.known(&range);
        let two = of.iter_var2.is_some();
        let (first, second) = match &range {
            Type::List(item) if two => (Type::Int, (**item).clone()),
            Type::List(item) => ((**item).clone(), Type::Error),
            Type::Map(key, value) => ((**key).clone(), (**value).clone()),
            Type::Dyn | Type::Error | Type::Param(_) => {
                self.assignable(&Type::Dyn, &range);
                (Type::Dyn, Type::Dyn)
            }
            _ => {
                let message = format!(
                    "expression of type '{range}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                self.report(of.iter_range.id, message);
                (Type::Error, Type::Error)
            }
        };
        let outer = self.locals.len();
        self.locals.push((of.accu_var.clone(), accumulated.clone()));
        let inner = self.locals.len();
        self.locals.push((of.iter_var.clone(), first));
        if let Some(name) = &of.iter_var2 {
            self.locals.push((name.clone(), second));
        }
        self.check(&mut of.loop_cond);
        self.must_be(&of.loop_cond, &Type::Bool);
        self.check(&mut of.loop_step);
        self.must_be(&of.loop_step, &accumulated);
        self.locals.truncate(inner);
        let result = self.check(&mut of.result);
        self.locals.truncate(outer);
        self.known(&result)
    }

    fn must_be(&mut self, node: &IdedExpr, wanted: &Type) {
        let found = self.type_of(node.id);
        if !self.assignable(wanted, &found) {
            self.mismatch(node.id, wanted, &found);
        }
    }
}

/// The type of a field of an object, by its name in expressions. A word of the language that can be written there, like
/// `namespace`, may stand for its escaped form.
fn field_type(object: &ObjectType, name: &str) -> Option<Type> {
    let Shape::Object { fields } = &object.declared.shape else { return None };
    let mut fields = fields.iter();
    let (_, field) =
        fields.find(|(written, field)| field.escaped == name || (*written == name && is_reserved(name)))?;
    Some(field.declared.cel_type(&format!("{}.{}", object.name, field.escaped)))
}

/// The first part and the whole of a name with dots.
pub(super) fn qualified_name(node: &IdedExpr) -> Option<(String, String)> {
    let mut parts = Vec::new();
    let mut at = &node.expr;
    loop {
        match at {
            Expr::Select(select) if !select.test => {
                parts.push(select.field.as_str());
                at = &select.operand.expr;
            }
            Expr::Ident(name) => {
                parts.push(name);
                parts.reverse();
                return Some((name.clone(), parts.join(".")));
            }
            _ => return None,
        }
    }
}
