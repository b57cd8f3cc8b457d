//! The grammar, by recursive descent.
//!
//! Expressions within expressions are counted, as cel-go counts them, so that the recursion of the parse is bounded. A
//! node carries the depth of its visit, which cel-go bounds too: all later recursion over the tree relies on both.

use ::cel::common::ast::{Expr, IdedExpr, SelectExpr, SourceInfo, operators};

use super::literal::Sign;
use super::macros::{Expanded, expand};
use super::nodes::{Nodes, call};
use super::token::{Kind, Token};
use crate::issues::Issues;

/// The deepest nesting of expressions, and of the visit of nodes.
const DEPTH_MAX: u16 = 250;

/// The parse is over; why was reported.
#[derive(Debug)]
pub(super) struct Stop;

/// A node, and how deep its visit is.
pub(super) struct Node {
    pub(super) expr: IdedExpr,
    pub(super) depth: u16,
}

impl Node {
    /// A node that has no others.
    pub(super) fn leaf(expr: IdedExpr) -> Self {
        Self { expr, depth: 0 }
    }
}

/// A parse under way.
pub(super) struct Parser<'a> {
    text: &'a [char],
    tokens: &'a [Token],
    at: usize,
    issues: Issues,
    pub(super) nodes: Nodes,
    /// How many expressions, relations and calculations are under way, one within another.
    depths: [u16; 3],
    /// What may come next in each bracket that is open: its end, and what separates its parts.
    open: Vec<&'static [&'static str]>,
}

/// The tokens, which are never empty.
impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a [char], tokens: &'a [Token], issues: Issues) -> Self {
        Self { text, tokens, at: 0, issues, nodes: Nodes::default(), depths: [0; 3], open: Vec::new() }
    }

    /// The tree, if there is one, and what was found wrong.
    pub(super) fn run(mut self) -> (Option<IdedExpr>, SourceInfo, Issues) {
        let parsed = self.whole().ok();
        (parsed, self.nodes.source, self.issues)
    }

    fn whole(&mut self) -> Result<IdedExpr, Stop> {
        let node = self.expr()?;
        if self.peek() != Kind::End {
            let what = if self.peek_second() == Kind::End { "extraneous" } else { "mismatched" };
            self.syntax_error(&format!("{what} input '{}' expecting <EOF>", self.shown()));
        }
        Ok(node.expr)
    }

    fn token(&self, ahead: usize) -> Token {
        let last = Token { kind: Kind::End, start: self.text.len(), end: self.text.len() };
        self.tokens.get(self.at + ahead).copied().unwrap_or(last)
    }

    /// The next token.
    pub(super) fn current(&self) -> Token {
        self.token(0)
    }

    /// What the next token is.
    pub(super) fn peek(&self) -> Kind {
        self.token(0).kind
    }

    /// What the token after the next is.
    pub(super) fn peek_second(&self) -> Kind {
        self.token(1).kind
    }

    /// What the token `ahead` of the next is.
    pub(super) fn peek_at(&self, ahead: usize) -> Kind {
        self.token(ahead).kind
    }

    /// Takes the next token.
    pub(super) fn skip(&mut self) -> Token {
        let taken = self.current();
        self.at = (self.at + 1).min(self.tokens.len());
        taken
    }

    /// Takes the next token if it is `wanted`.
    pub(super) fn take(&mut self, wanted: &str) -> bool {
        let found = matches!(self.peek(), Kind::Fixed(text) if text == wanted);
        if found {
            self.skip();
        }
        found
    }

    /// The text of a token.
    pub(super) fn text(&self, token: Token) -> String {
        self.text[token.start..token.end].iter().collect()
    }

    /// The next token as messages show it.
    pub(super) fn shown(&self) -> String {
        if self.peek() == Kind::End { "<EOF>".to_owned() } else { self.text(self.current()) }
    }

    /// Where the next token is.
    pub(super) fn place(&self) -> u32 {
        offset(self.current().start)
    }

    /// Notes a fault.
    pub(super) fn report(&mut self, place: Option<u32>, message: String) {
        self.issues.report(place, message);
    }

    /// An id for a token.
    pub(super) fn id(&mut self, token: Token) -> u64 {
        self.nodes.id(offset(token.start), offset(token.end))
    }

    /// What may come next inside the innermost bracket; none outside of all.
    pub(super) fn surroundings(&self) -> Option<&'static [&'static str]> {
        self.open.last().copied()
    }

    /// Parses what stands in a bracket that was opened.
    pub(super) fn within<T>(
        &mut self,
        next: &'static [&'static str],
        parse: impl FnOnce(&mut Self) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        self.open.push(next);
        let parsed = parse(self);
        self.open.pop();
        parsed
    }

    /// A node above others of this depth.
    pub(super) fn above(&mut self, expr: IdedExpr, depth: u16) -> Result<Node, Stop> {
        if depth >= DEPTH_MAX {
            self.report(None, "max recursion depth exceeded".to_owned());
            return Err(Stop);
        }
        Ok(Node { expr, depth: depth + 1 })
    }

    /// Begins a rule, unless it is too deep in itself.
    fn enter(&mut self, rule: usize) -> Result<(), Stop> {
        self.depths[rule] += 1;
        if self.depths[rule] > DEPTH_MAX {
            self.report(None, format!("expression recursion limit exceeded: {DEPTH_MAX}"));
            return Err(Stop);
        }
        Ok(())
    }
}

/// Rules that can be within themselves.
const EXPR: usize = 0;
const RELATION: usize = 1;
const CALC: usize = 2;

/// The rules, from the loosest binding to the tightest.
impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Result<Node, Stop> {
        self.enter(EXPR)?;
        let condition = self.logical(operators::LOGICAL_OR)?;
        let node = if self.peek() == Kind::Fixed("?") {
            let operator = self.skip();
            let then = self.within(&["':'"], |parser| parser.logical(operators::LOGICAL_OR))?;
            self.expect(":")?;
            let otherwise = self.expr()?;
            let id = self.id(operator);
            let depth = condition.depth.max(then.depth).max(otherwise.depth);
            let expr = call(operators::CONDITIONAL, None, vec![condition.expr, then.expr, otherwise.expr]);
            self.above(IdedExpr { id, expr }, depth)?
        } else {
            condition
        };
        self.depths[EXPR] -= 1;
        Ok(node)
    }

    /// A chain of `||` or, within, of `&&`.
    fn logical(&mut self, function: &'static str) -> Result<Node, Stop> {
        let any = function == operators::LOGICAL_OR;
        let symbol = if any { "||" } else { "&&" };
        let operand = |parser: &mut Self| {
            if any { parser.logical(operators::LOGICAL_AND) } else { parser.relation(1) }
        };
        let first = operand(self)?;
        let mut depth = first.depth;
        let mut terms = vec![first.expr];
        let mut ids = Vec::new();
        while self.peek() == Kind::Fixed(symbol) {
            let operator = self.skip();
            let next = operand(self)?;
            depth = depth.max(next.depth);
            ids.push(self.id(operator));
            terms.push(next.expr);
        }
        Ok(Node { expr: balanced(function, terms, &ids), depth })
    }

    fn relation(&mut self, level: u8) -> Result<Node, Stop> {
        self.enter(RELATION)?;
        let mut left = self.calc(1)?;
        while let (1, Some(function)) = (level, relational(self.peek())) {
            let operator = self.skip();
            let right = self.relation(level + 1)?;
            left = self.binary(operator, function, left, right)?;
        }
        self.depths[RELATION] -= 1;
        Ok(left)
    }

    fn calc(&mut self, level: u8) -> Result<Node, Stop> {
        self.enter(CALC)?;
        let mut left = self.unary()?;
        while let Some((function, binds)) = arithmetic(self.peek()).filter(|(_, binds)| *binds >= level) {
            let operator = self.skip();
            let right = self.calc(binds + 1)?;
            left = self.binary(operator, function, left, right)?;
        }
        self.depths[CALC] -= 1;
        Ok(left)
    }

    fn binary(&mut self, operator: Token, function: &str, left: Node, right: Node) -> Result<Node, Stop> {
        let id = self.id(operator);
        let depth = left.depth.max(right.depth);
        self.above(IdedExpr { id, expr: call(function, None, vec![left.expr, right.expr]) }, depth)
    }

    fn unary(&mut self) -> Result<Node, Stop> {
        let (symbol, function) = match self.peek() {
            Kind::Fixed("!") => ("!", operators::LOGICAL_NOT),
            Kind::Fixed("-") if !self.signed_number() => ("-", operators::NEGATE),
            _ => return self.member(),
        };
        let first = self.current();
        let mut count = 0;
        // Of several signs before a number, each is an operator.
        while self.take(symbol) {
            count += 1;
        }
        let node = self.member()?;
        if count % 2 == 0 {
            return Ok(node);
        }
        let id = self.id(first);
        Ok(Node { expr: IdedExpr { id, expr: call(function, None, vec![node.expr]) }, depth: node.depth })
    }

    fn signed_number(&self) -> bool {
        self.peek() == Kind::Fixed("-") && matches!(self.peek_second(), Kind::Int | Kind::Float)
    }

    fn member(&mut self) -> Result<Node, Stop> {
        let sign = if self.signed_number() { Sign::Minus } else { Sign::None };
        let mut node = self.primary(sign)?;
        loop {
            let operator = self.current();
            node = if self.take(".") {
                self.field(operator, node)?
            } else if self.take("[") {
                self.index(operator, node)?
            } else {
                break;
            };
        }
        Ok(node)
    }

    /// What follows a dot: a field or a call.
    fn field(&mut self, dot: Token, operand: Node) -> Result<Node, Stop> {
        let optional = self.take("?");
        let token = self.current();
        match self.peek() {
            Kind::Identifier | Kind::Escaped => {}
            Kind::Fixed(word @ ("true" | "false" | "null")) if !optional => {
                self.syntax_error(&format!("mismatched input '{word}' expecting IDENTIFIER"));
                return Err(Stop);
            }
            _ if optional => {
                let shown = self.shown();
                self.syntax_error(&format!("mismatched input '{shown}' expecting {{IDENTIFIER, ESC_IDENTIFIER}}"));
                return Err(Stop);
            }
            _ => {
                let shown = self.text(token);
                self.syntax_error(&format!("no viable alternative at input '.{shown}'"));
                return Err(Stop);
            }
        }
        self.skip();
        let name = self.text(token);
        let plain = name.trim_matches('`').to_owned();
        if optional {
            let field_id = self.id(token);
            let field = super::nodes::string(field_id, plain);
            let id = self.id(dot);
            let expr = call(operators::OPT_SELECT, None, vec![operand.expr, field]);
            return self.above(IdedExpr { id, expr }, operand.depth);
        }
        if token.kind == Kind::Identifier && self.peek() == Kind::Fixed("(") {
            let opening = self.skip();
            let (args, depth) = self.args()?;
            let id = self.id(opening);
            let node = self.call_or_macro(id, &name, Some(operand.expr), args);
            return self.above(node, depth.max(operand.depth));
        }
        let id = self.id(dot);
        let select = SelectExpr { operand: Box::new(operand.expr), field: plain, test: false };
        self.above(IdedExpr { id, expr: Expr::Select(select) }, operand.depth)
    }

    fn index(&mut self, bracket: Token, operand: Node) -> Result<Node, Stop> {
        let function = if self.take("?") { operators::OPT_INDEX } else { operators::INDEX };
        let index = self.within(&["']'"], |parser| {
            if function == operators::INDEX {
                parser.begins_operand(&["'?'"])?;
            }
            parser.expr()
        })?;
        self.expect("]")?;
        let id = self.id(bracket);
        let depth = operand.depth.max(index.depth);
        self.above(IdedExpr { id, expr: call(function, None, vec![operand.expr, index.expr]) }, depth)
    }

    /// The arguments of a call that was opened, and its end.
    pub(super) fn args(&mut self) -> Result<(Vec<IdedExpr>, u16), Stop> {
        let mut args = Vec::new();
        let mut depth = 0;
        if self.take(")") {
            return Ok((args, depth));
        }
        self.within(&["')'", "','"], |parser| {
            parser.begins_operand(&["')'"])?;
            // A token too many may have stood before the end.
            while args.is_empty() && parser.peek() != Kind::Fixed(")") || parser.take(",") {
                let node = parser.expr()?;
                depth = depth.max(node.depth);
                args.push(node.expr);
            }
            Ok(())
        })?;
        self.expect(")")?;
        Ok((args, depth))
    }

    /// The expansion of a macro; else the call.
    pub(super) fn call_or_macro(
        &mut self,
        id: u64,
        function: &str,
        target: Option<IdedExpr>,
        args: Vec<IdedExpr>,
    ) -> IdedExpr {
        match expand(&mut self.nodes, id, function, target, args) {
            Expanded::Macro(Ok(expr)) => expr,
            Expanded::Macro(Err(fault)) => {
                let place = self.nodes.start(fault.node);
                self.report(place, fault.message);
                IdedExpr { id, expr: Expr::Unspecified }
            }
            Expanded::Call(target, args) => IdedExpr { id, expr: call(function, target, args) },
        }
    }
}

/// A position as nodes have it. Texts are far shorter than the type.
pub(super) fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A chain of one operator, as a tree of the least depth.
fn balanced(function: &str, mut terms: Vec<IdedExpr>, ids: &[u64]) -> IdedExpr {
    if terms.len() <= 1 {
        return terms.pop().unwrap_or_default();
    }
    let middle = ids.len() / 2;
    let right = terms.split_off(middle + 1);
    let left = balanced(function, terms, &ids[..middle]);
    let right = balanced(function, right, &ids[middle + 1..]);
    IdedExpr { id: ids[middle], expr: call(function, None, vec![left, right]) }
}

fn relational(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Fixed(text) => match text {
            "<" => Some(operators::LESS),
            "<=" => Some(operators::LESS_EQUALS),
            ">" => Some(operators::GREATER),
            ">=" => Some(operators::GREATER_EQUALS),
            "==" => Some(operators::EQUALS),
            "!=" => Some(operators::NOT_EQUALS),
            "in" => Some(operators::IN),
            _ => None,
        },
        _ => None,
    }
}

/// The function of an arithmetic operator, and how tightly it binds.
fn arithmetic(kind: Kind) -> Option<(&'static str, u8)> {
    match kind {
        Kind::Fixed(text) => match text {
            "+" => Some((operators::ADD, 1)),
            "-" => Some((operators::SUBSTRACT, 1)),
            "*" => Some((operators::MULTIPLY, 2)),
            "/" => Some((operators::DIVIDE, 2)),
            "%" => Some((operators::MODULO, 2)),
            _ => None,
        },
        _ => None,
    }
}
