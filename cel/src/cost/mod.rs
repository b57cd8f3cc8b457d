//! What an expression may cost at most, from its types and the size limits of the schema.
//!
//! Follows cel-go's checker/cost.go with `PresenceTestHasCost(false)`; `calls` and `library` are the costs of
//! functions. Only the upper bound is ever compared with a limit, and it equals kube-apiserver's.

mod calls;
mod library;
mod path;
mod range;

use std::collections::HashMap;
use std::rc::Rc;

use ::cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr};

use super::checked::{Checked, Reference};
use super::declared::{Declared, Shape};
use super::overload::{Overload, Style};
use super::types::Type;
use path::Path;
pub use range::{Range, scaled};

/// The cost of a name or of a field.
const NAME: Range = Range::fixed(1);
/// The cost of making a list.
const LIST: Range = Range::fixed(10);
/// The cost of making a map.
const MAP: Range = Range::fixed(30);
/// The cost of making an object.
const OBJECT: Range = Range::fixed(40);

/// What `checked` costs where `self` is as `root` declares it.
pub fn estimate(checked: &Checked, root: &Declared) -> Range {
    let mut estimator = Estimator {
        checked,
        root,
        paths: HashMap::new(),
        locals: HashMap::new(),
        sizes: HashMap::new(),
        entries: HashMap::new(),
    };
    estimator.cost(&checked.expr)
}

/// Sizes of what a container holds.
#[derive(Debug, Clone, Copy)]
struct Entries {
    container: Container,
    key: Range,
    value: Range,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    List,
    Map,
}

impl Entries {
    fn union(first: Option<Self>, second: Option<Self>) -> Option<Self> {
        let (first, second) = (first?, second?);
        Some(Self {
            container: first.container,
            key: first.key.union(second.key),
            value: first.value.union(second.value),
        })
    }
}

/// A variable of a comprehension.
#[derive(Debug, Clone)]
struct Local {
    path: Path,
    size: Option<Range>,
    entries: Option<Entries>,
}

/// An operand of a call, as it was when its own cost was known.
struct Operand<'a> {
    /// `None` for the items of another operand.
    expr: Option<&'a IdedExpr>,
    kind: Type,
    path: Path,
    size: Option<Range>,
}

struct Estimator<'a> {
    checked: &'a Checked,
    root: &'a Declared,
    paths: HashMap<u64, Path>,
    locals: HashMap<&'a str, Vec<Rc<Local>>>,
    sizes: HashMap<u64, Range>,
    entries: HashMap<u64, Entries>,
}

impl<'a> Estimator<'a> {
    fn cost(&mut self, expr: &'a IdedExpr) -> Range {
        match &expr.expr {
            Expr::Ident(name) => self.ident(expr, name),
            Expr::Select(select) => self.select(expr, select),
            Expr::Call(call) => self.call(expr, call),
            Expr::List(list) => {
                let mut sum = Range::default();
                let mut item = if list.elements.is_empty() { Range::default() } else { Range::NOTHING };
                for element in &list.elements {
                    sum = sum.add(self.cost(element));
                    item = item.union(self.size_or_unknown(element));
                }
                let entries = Entries { container: Container::List, key: Range::fixed(1), value: item };
                self.entries.insert(expr.id, entries);
                sum.add(LIST)
            }
            Expr::Map(map) => {
                let mut sum = Range::default();
                let start = if map.entries.is_empty() { Range::default() } else { Range::NOTHING };
                let (mut key, mut value) = (start, start);
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
                    sum = sum.add(self.cost(&entry.key)).add(self.cost(&entry.value));
                    key = key.union(self.size_or_unknown(&entry.key));
                    value = value.union(self.size_or_unknown(&entry.value));
                }
                self.entries.insert(expr.id, Entries { container: Container::Map, key, value });
                sum.add(MAP)
            }
            Expr::Struct(object) => {
                let mut sum = Range::default();
                for entry in &object.entries {
                    if let EntryExpr::StructField(field) = &entry.expr {
                        sum = sum.add(self.cost(&field.value));
                    }
                }
                sum.add(OBJECT)
            }
            Expr::Comprehension(comprehension) if is_bind(comprehension) => self.bind(expr, comprehension),
            Expr::Comprehension(comprehension) => self.comprehension(expr, comprehension),
            Expr::Literal(_) | Expr::Unspecified => Range::default(),
        }
    }

    fn ident(&mut self, expr: &IdedExpr, name: &str) -> Range {
        let path = self.local(name).map_or_else(|| Path::of(name), |local| local.path.clone());
        self.paths.insert(expr.id, path);
        NAME
    }

    fn select(&mut self, expr: &IdedExpr, select: &'a SelectExpr) -> Range {
        // A qualified name of a variable is one name.
        if let Some(Reference::Variable(name)) = self.checked.references.get(&expr.id) {
            let name = name.clone();
            return self.ident(expr, &name);
        }
        let sum = self.cost(&select.operand);
        if select.test {
            return sum;
        }
        let cost = match self.type_of(&select.operand) {
            Type::Map(..) | Type::Object(_) | Type::Param(_) => NAME,
            Type::Opaque(name) if !is_abstract(name) => NAME,
            _ => Range::default(),
        };
        let path = self.path(&select.operand).append(&select.field);
        self.paths.insert(expr.id, path);
        sum.add(cost)
    }

    fn call(&mut self, expr: &'a IdedExpr, call: &'a CallExpr) -> Range {
        if call.func_name == "dyn"
            && let Some(argument) = call.args.first()
        {
            let cost = self.cost(argument);
            self.copy_sizes(expr, argument);
            return Range::fixed(1).add(cost);
        }
        let mut costs = Vec::with_capacity(call.args.len());
        let mut args = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            costs.push(self.cost(arg));
            args.push(self.operand(arg));
        }
        let checked = self.checked;
        let Some(Reference::Call(overloads)) = checked.references.get(&expr.id) else { return Range::default() };
        if overloads.is_empty() {
            return Range::default();
        }
        // What stands before a function of a qualified name is part of the name.
        let receiver = overloads.iter().any(|overload| overload.style == Style::Receiver);
        let (mut sum, mut target) = (Range::default(), None);
        if let Some(expr) = call.target.as_deref().filter(|_| receiver) {
            sum = self.cost(expr);
            target = Some(self.operand(expr));
        }
        let mut cost = Range::NOTHING;
        let mut size = None;
        for overload in overloads {
            let (of_one, size_of_one) = self.overload(expr, overload, target.as_ref(), &args, &costs);
            cost = cost.union(of_one);
            size = match (size, size_of_one) {
                (Some(size), Some(other)) => Some(Range::union(size, other)),
                (size, other) => size.or(other),
            };
            let inside = match overload.id {
                "index_list" => Some("@items"),
                "index_map" => Some("@values"),
                _ => None,
            };
            if let (Some(inside), Some(container)) = (inside, call.args.first()) {
                size = self.entries_of(container).map(|entries| entries.value);
                let path = self.path(container).append(inside);
                self.paths.insert(expr.id, path);
            }
            if size.is_none() {
                size = self.size(expr);
            }
        }
        if let Some(size) = size {
            self.sizes.insert(expr.id, size);
        }
        sum.add(cost)
    }

    /// The cost of one overload with its arguments' costs, and the size of its result.
    fn overload(
        &mut self,
        expr: &'a IdedExpr,
        overload: &Overload,
        target: Option<&Operand<'a>>,
        args: &[Operand<'a>],
        costs: &[Range],
    ) -> (Range, Option<Range>) {
        let sum = || costs.iter().fold(Range::default(), |sum, cost| sum.add(*cost));
        if let Some((cost, size)) = library::estimate(self, overload, target, args) {
            return (cost.add(sum()), size);
        }
        calls::estimate(self, expr, overload.id, target, args, costs)
    }

    fn comprehension(&mut self, expr: &IdedExpr, fold: &'a ComprehensionExpr) -> Range {
        let mut sum = self.cost(&fold.iter_range).add(self.cost(&fold.accu_init));
        self.push_local(&fold.accu_var, &fold.accu_init);
        if let Some(second) = &fold.iter_var2 {
            self.push_iteration(&fold.iter_var, &fold.iter_range, Part::Keys);
            self.push_iteration(second, &fold.iter_range, Part::Values);
        } else {
            self.push_iteration(&fold.iter_var, &fold.iter_range, Part::Single);
        }
        let condition = self.cost(&fold.loop_cond);
        let step = self.cost(&fold.loop_step);
        self.pop(&fold.iter_var);
        if let Some(second) = &fold.iter_var2 {
            self.pop(second);
        }
        sum = sum.add(self.cost(&fold.result));
        self.pop(&fold.accu_var);
        let count = self.size_or_unknown(&fold.iter_range);
        sum = sum.add(count.times(step.add(condition)));
        match &fold.accu_init.expr {
            Expr::Literal(_) => {
                if let Some(size) = self.size(&fold.accu_init) {
                    self.sizes.insert(expr.id, size);
                }
            }
            Expr::List(_) | Expr::Map(_) => {
                self.sizes.insert(expr.id, count);
                if let Some(entries) = self.entries_of(&fold.loop_step) {
                    self.entries.insert(expr.id, entries);
                }
            }
            _ => {}
        }
        sum
    }

    fn bind(&mut self, expr: &IdedExpr, bind: &'a ComprehensionExpr) -> Range {
        let mut sum = self.cost(&bind.iter_range).add(self.cost(&bind.accu_init));
        self.push_local(&bind.accu_var, &bind.accu_init);
        sum = sum.add(self.cost(&bind.result));
        self.pop(&bind.accu_var);
        self.copy_sizes(expr, &bind.result);
        sum
    }

    fn push_local(&mut self, name: &'a str, value: &'a IdedExpr) {
        let path = self.path(value);
        let entries = self.entries_of(value);
        let size = self.size(value);
        self.locals.entry(name).or_default().push(Rc::new(Local { path, size, entries }));
    }

    fn push_iteration(&mut self, name: &'a str, range: &'a IdedExpr, part: Part) {
        let entries = self.entries_of(range);
        let is_list = match entries {
            Some(entries) => entries.container == Container::List,
            None => matches!(self.type_of(range), Type::List(_)),
        };
        let (subpath, is_value) = match (part, is_list) {
            (Part::Keys, true) => ("@indices", false),
            (Part::Keys | Part::Single, false) => ("@keys", false),
            (Part::Values | Part::Single, true) => ("@items", true),
            (Part::Values, false) => ("@values", true),
        };
        let size = entries.map(|entries| if is_value { entries.value } else { entries.key });
        let path = self.path(range).append(subpath);
        self.locals.entry(name).or_default().push(Rc::new(Local { path, size, entries: None }));
    }

    fn pop(&mut self, name: &str) {
        if let Some(stack) = self.locals.get_mut(name) {
            stack.pop();
        }
    }

    fn local(&self, name: &str) -> Option<&Local> {
        self.locals.get(name)?.last().map(Rc::as_ref)
    }

    fn type_of(&self, expr: &IdedExpr) -> &Type {
        self.checked.types.get(&expr.id).unwrap_or(&Type::Dyn)
    }

    fn path(&self, expr: &IdedExpr) -> Path {
        if let Expr::Ident(name) = &expr.expr
            && let Some(local) = self.local(name)
        {
            return local.path.clone();
        }
        self.paths.get(&expr.id).cloned().unwrap_or_default()
    }

    fn operand(&mut self, expr: &'a IdedExpr) -> Operand<'a> {
        let mut path = self.path(expr);
        // What accumulates stands nowhere in the schema.
        if path.names().first().is_some_and(|name| matches!(&**name, "__result__" | "@result")) {
            path = Path::default();
        }
        Operand { expr: Some(expr), kind: self.type_of(expr).clone(), path, size: self.size(expr) }
    }

    fn size_or_unknown(&mut self, expr: &IdedExpr) -> Range {
        self.size(expr).unwrap_or(Range::UNKNOWN)
    }

    fn copy_sizes(&mut self, to: &IdedExpr, from: &IdedExpr) {
        if let Some(size) = self.size(from) {
            self.sizes.insert(to.id, size);
        }
        if let Some(entries) = self.entries_of(from) {
            self.entries.insert(to.id, entries);
        }
    }

    /// `computeSize`.
    fn size(&mut self, expr: &IdedExpr) -> Option<Range> {
        if let Some(size) = self.sizes.get(&expr.id) {
            return Some(*size);
        }
        if let Some(size) = literal_size(expr) {
            return Some(Range::fixed(size));
        }
        if let Some(size) = self.declared_size(&self.path(expr)) {
            self.sizes.insert(expr.id, size);
            return Some(size);
        }
        if is_scalar(self.type_of(expr)) {
            return Some(Range::fixed(1));
        }
        match &expr.expr {
            Expr::Ident(name) => self.local(name)?.size,
            _ => None,
        }
    }

    fn entries_of(&self, expr: &IdedExpr) -> Option<Entries> {
        if let Some(entries) = self.entries.get(&expr.id) {
            return Some(*entries);
        }
        match &expr.expr {
            Expr::Ident(name) => self.local(name)?.entries,
            _ => None,
        }
    }

    /// `sizeEstimator.EstimateSize`, apiextensions-apiserver/pkg/apiserver/schema/cel/compilation.go: the limits of
    /// the schema. Every variable is taken for `self`.
    fn declared_size(&self, path: &Path) -> Option<Range> {
        if path.is_empty() {
            return None;
        }
        let mut at = self.root;
        let names = path.names();
        let mut names = names.iter().skip(1);
        while let Some(name) = names.next() {
            at = match (&**name, &at.shape) {
                ("@items" | "@values", Shape::List { items, .. }) => items,
                ("@items" | "@values", Shape::Map { values }) => values,
                // Keys of maps are strings without a limit of their own, and hold nothing.
                ("@keys", Shape::Map { .. }) => return names.next().is_none().then(Range::default),
                ("@items" | "@values" | "@keys", _) => return None,
                (name, Shape::Object { fields }) => &fields.values().find(|field| field.escaped == name)?.declared,
                _ => return None,
            };
        }
        let max = match at.shape {
            Shape::Bool | Shape::Int | Shape::Double | Shape::Object { .. } => 0,
            _ => at.max_elements.unwrap_or(u64::MAX),
        };
        Some(Range { min: 0, max })
    }
}

/// What of a container a variable goes through.
#[derive(Clone, Copy)]
enum Part {
    Keys,
    Values,
    Single,
}

/// `cel.bind`, and the macros of optionals that are made of it.
fn is_bind(fold: &ComprehensionExpr) -> bool {
    matches!(&fold.iter_range.expr, Expr::List(list) if list.elements.is_empty())
        && matches!(&fold.loop_cond.expr, Expr::Literal(LiteralValue::Boolean(go_on)) if !*go_on.inner())
        && fold.accu_var != "__result__"
}

/// `computeExprSize`.
fn literal_size(expr: &IdedExpr) -> Option<u64> {
    let size = match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => text.inner().chars().count(),
        Expr::Literal(LiteralValue::Bytes(bytes)) => bytes.inner().len(),
        Expr::Literal(_) => 1,
        Expr::List(list) => list.elements.len(),
        Expr::Map(map) => map.entries.len(),
        _ => return None,
    };
    Some(u64::try_from(size).unwrap_or(u64::MAX))
}

fn is_scalar(kind: &Type) -> bool {
    match kind {
        Type::Bool | Type::Double | Type::Duration | Type::Int | Type::Timestamp | Type::Uint => true,
        Type::Optional(inside) => is_scalar(inside),
        _ => false,
    }
}

/// Whether cel-go knows the library's type as abstract; the others are declared as objects.
fn is_abstract(name: &str) -> bool {
    matches!(name, "net.IP" | "net.CIDR")
}
