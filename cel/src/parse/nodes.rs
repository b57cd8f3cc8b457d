//! Nodes of the tree: ids, positions, and the shapes that are made often.
//!
//! Follows cel-go's `parser/helper.go`.

use ::cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, ListExpr, LiteralValue, MapExpr, SourceInfo,
};

/// Makes nodes, and remembers where they stand.
#[derive(Default)]
pub(super) struct Nodes {
    pub(super) source: SourceInfo,
    last: u64,
}

impl Nodes {
    /// An id for what stands from `start` to `end`, in characters.
    pub(super) fn id(&mut self, start: u32, end: u32) -> u64 {
        self.last += 1;
        self.source.add_offset(self.last, start, end);
        self.last
    }

    /// Where a node begins.
    pub(super) fn start(&self, id: u64) -> Option<u32> {
        self.source.offset_for(id).map(|(start, _)| start)
    }

    /// Nodes of a macro, which stand where its call does.
    pub(super) fn at(&mut self, call: u64) -> At<'_> {
        let start = self.start(call).unwrap_or_default();
        At { nodes: self, start }
    }
}

/// Makes nodes at one place.
pub(super) struct At<'a> {
    nodes: &'a mut Nodes,
    start: u32,
}

impl At<'_> {
    /// The same place once more.
    pub(super) fn again(&mut self) -> At<'_> {
        At { start: self.start, nodes: self.nodes }
    }

    pub(super) fn node(&mut self, expr: Expr) -> IdedExpr {
        IdedExpr { id: self.nodes.id(self.start, self.start), expr }
    }

    pub(super) fn literal(&mut self, value: LiteralValue) -> IdedExpr {
        self.node(Expr::Literal(value))
    }

    pub(super) fn bool(&mut self, value: bool) -> IdedExpr {
        self.literal(LiteralValue::Boolean(value.into()))
    }

    pub(super) fn int(&mut self, value: i64) -> IdedExpr {
        self.literal(LiteralValue::Int(value.into()))
    }

    pub(super) fn ident(&mut self, name: &str) -> IdedExpr {
        self.node(Expr::Ident(name.to_owned()))
    }

    pub(super) fn list(&mut self, elements: Vec<IdedExpr>) -> IdedExpr {
        self.node(Expr::List(ListExpr::new(elements)))
    }

    pub(super) fn map(&mut self) -> IdedExpr {
        self.node(Expr::Map(MapExpr::default()))
    }

    pub(super) fn call(&mut self, function: &str, args: Vec<IdedExpr>) -> IdedExpr {
        self.node(call(function, None, args))
    }

    pub(super) fn member_call(&mut self, function: &str, target: IdedExpr, args: Vec<IdedExpr>) -> IdedExpr {
        self.node(call(function, Some(target), args))
    }

    pub(super) fn comprehension(&mut self, comprehension: ComprehensionExpr) -> IdedExpr {
        self.node(Expr::Comprehension(Box::new(comprehension)))
    }

    /// The same expression under new ids, each where it stands.
    pub(super) fn copy(&mut self, of: &IdedExpr) -> IdedExpr {
        let mut copied = of.clone();
        self.renumber(&mut copied);
        copied
    }

    fn renumber(&mut self, node: &mut IdedExpr) {
        let (start, end) = self.nodes.source.offset_for(node.id).unwrap_or((self.start, self.start));
        node.id = self.nodes.id(start, end);
        each_entry(&mut node.expr, &mut |id| {
            let (start, end) = self.nodes.source.offset_for(*id).unwrap_or((self.start, self.start));
            *id = self.nodes.id(start, end);
        });
        each_child(&mut node.expr, &mut |child| self.renumber(child));
    }
}

/// A call.
pub(super) fn call(function: &str, target: Option<IdedExpr>, args: Vec<IdedExpr>) -> Expr {
    Expr::Call(CallExpr { func_name: function.to_owned(), target: target.map(Box::new), args })
}

fn entries(expr: &mut Expr) -> &mut [IdedEntryExpr] {
    match expr {
        Expr::Map(map) => &mut map.entries,
        Expr::Struct(structure) => &mut structure.entries,
        _ => &mut [],
    }
}

fn each_entry(expr: &mut Expr, visit: &mut impl FnMut(&mut u64)) {
    for entry in entries(expr) {
        visit(&mut entry.id);
    }
}

fn each_child(expr: &mut Expr, visit: &mut dyn FnMut(&mut IdedExpr)) {
    match expr {
        Expr::Call(call) => {
            call.args.iter_mut().for_each(&mut *visit);
            call.target.iter_mut().for_each(|target| visit(target));
        }
        Expr::Comprehension(of) => {
            for child in [&mut of.iter_range, &mut of.accu_init, &mut of.loop_cond, &mut of.loop_step, &mut of.result] {
                visit(child);
            }
        }
        Expr::List(list) => list.elements.iter_mut().for_each(visit),
        Expr::Select(select) => visit(&mut select.operand),
        Expr::Map(_) | Expr::Struct(_) => {
            for entry in entries(expr) {
                match &mut entry.expr {
                    EntryExpr::StructField(field) => visit(&mut field.value),
                    EntryExpr::MapEntry(entry) => {
                        visit(&mut entry.key);
                        visit(&mut entry.value);
                    }
                }
            }
        }
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
    }
}

/// A string.
pub(super) fn string(id: u64, value: String) -> IdedExpr {
    IdedExpr { id, expr: Expr::Literal(LiteralValue::String(value.into())) }
}
