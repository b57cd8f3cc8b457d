//! The innermost rules of the grammar: names, global calls, literals, and what stands in brackets.

use ::cel::common::ast::{
    EntryExpr, Expr, IdedEntryExpr, IdedExpr, ListExpr, LiteralValue, MapEntryExpr, MapExpr, StructExpr,
    StructFieldExpr,
};

use super::grammar::{Node, Parser, Stop, offset};
use super::literal::{self, Sign};
use super::recover::OPERAND;
use super::token::{Kind, Token};

/// Words that are kept for later, and names that no variable can have.
pub(crate) const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

impl Parser<'_> {
    /// Makes sure that an operand begins, or one of `also` is next.
    pub(super) fn begins_operand(&mut self, also: &[&'static str]) -> Result<(), Stop> {
        let expected = [&OPERAND[..], also].concat();
        if self.is_next(&expected) { Ok(()) } else { self.unexpected(&expected) }
    }

    pub(super) fn primary(&mut self, sign: Sign) -> Result<Node, Stop> {
        self.begins_operand(&[])?;
        let first = self.current();
        match first.kind {
            Kind::Fixed("(") => {
                self.skip();
                let node = self.within(&["')'"], Self::expr)?;
                self.expect(")")?;
                Ok(node)
            }
            Kind::Fixed("[") => self.list(),
            Kind::Fixed("{") => self.map(),
            Kind::Fixed(".") | Kind::Identifier => self.name(),
            _ => {
                if sign == Sign::Minus {
                    self.skip();
                }
                let token = self.skip();
                Ok(Node::leaf(self.literal(sign, Token { start: first.start, ..token }, token)))
            }
        }
    }

    /// The literal in `token`; `whole` counts its sign in.
    fn literal(&mut self, sign: Sign, whole: Token, token: Token) -> IdedExpr {
        let text = self.text(token);
        let value = match token.kind {
            Kind::Int => {
                literal::int(sign, &text).map(|value| LiteralValue::Int(value.into())).ok_or("invalid int literal")
            }
            Kind::Uint => {
                literal::uint(&text).map(|value| LiteralValue::UInt(value.into())).ok_or("invalid uint literal")
            }
            Kind::Float => literal::double(sign, &text)
                .map(|value| LiteralValue::Double(value.into()))
                .ok_or("invalid double literal"),
            Kind::String => literal::string(&text).map(|value| LiteralValue::String(value.into())),
            Kind::Bytes => literal::bytes(&text).map(|value| LiteralValue::Bytes(value.into())),
            Kind::Fixed("true") => Ok(LiteralValue::Boolean(true.into())),
            Kind::Fixed("false") => Ok(LiteralValue::Boolean(false.into())),
            _ => Ok(LiteralValue::Null),
        };
        let id = self.id(whole);
        match value {
            Ok(value) => IdedExpr { id, expr: Expr::Literal(value) },
            Err(message) => {
                self.report(Some(offset(whole.start)), message.to_owned());
                IdedExpr { id, expr: Expr::Unspecified }
            }
        }
    }

    /// A variable, a call of a global function, or a message.
    fn name(&mut self) -> Result<Node, Stop> {
        let first = self.current();
        let dot = self.take(".");
        if dot && self.peek() != Kind::Identifier {
            let shown = if self.peek() == Kind::End { String::new() } else { self.shown() };
            self.syntax_error(&format!("no viable alternative at input '.{shown}'"));
            return Err(Stop);
        }
        if let Some(names) = self.message_ahead() {
            return self.message(if dot { "." } else { "" }, names);
        }
        let token = self.skip();
        let plain = self.text(token);
        let name = if dot { format!(".{plain}") } else { plain.clone() };
        let reserved = RESERVED.contains(&plain.as_str());
        if reserved {
            self.report(Some(offset(first.start)), format!("reserved identifier: {plain}"));
        }
        if self.peek() == Kind::Fixed("(") {
            let opening = self.skip();
            let (args, depth) = self.args()?;
            let id = self.id(opening);
            return Ok(Node { expr: self.call_or_macro(id, &name, None, args), depth });
        }
        let id = self.id(token);
        let expr = if reserved { Expr::Unspecified } else { Expr::Ident(name) };
        Ok(Node::leaf(IdedExpr { id, expr }))
    }

    /// How many names there are before a brace; none if something else comes.
    fn message_ahead(&self) -> Option<usize> {
        let mut names = 1;
        loop {
            match self.peek_at(names * 2 - 1) {
                Kind::Fixed("{") => return Some(names),
                Kind::Fixed(".") if self.peek_at(names * 2) == Kind::Identifier => names += 1,
                _ => return None,
            }
        }
    }

    fn message(&mut self, dot: &str, names: usize) -> Result<Node, Stop> {
        let mut type_name = dot.to_owned();
        for _ in 0..names * 2 - 1 {
            let token = self.skip();
            type_name.push_str(&self.text(token));
        }
        let brace = self.skip();
        let id = self.id(brace);
        let mut entries = Vec::new();
        let mut depth = 0;
        self.within(&["'}'", "','"], |parser| {
            while matches!(parser.peek(), Kind::Identifier | Kind::Escaped | Kind::Fixed("?")) {
                let optional = parser.take("?");
                let token = parser.skip();
                let field = parser.text(token).trim_matches('`').to_owned();
                let colon = parser.current();
                parser.expect(":")?;
                let value = parser.expr()?;
                depth = depth.max(value.depth);
                let field = StructFieldExpr { field, value: value.expr, optional };
                entries.push(IdedEntryExpr { id: parser.id(colon), expr: EntryExpr::StructField(field) });
                if !parser.take(",") {
                    break;
                }
            }
            if entries.is_empty() && !parser.take(",") && parser.peek() != Kind::Fixed("}") {
                parser.unexpected(&["'}'", "','", "'?'", "IDENTIFIER", "ESC_IDENTIFIER"])?;
            }
            Ok(())
        })?;
        self.expect("}")?;
        Ok(Node { expr: IdedExpr { id, expr: Expr::Struct(StructExpr { type_name, entries }) }, depth })
    }

    fn list(&mut self) -> Result<Node, Stop> {
        let bracket = self.skip();
        let id = self.id(bracket);
        let mut list = ListExpr::default();
        let mut depth = 0;
        self.within(&["']'", "','"], |parser| {
            parser.begins_operand(&["']'", "','", "'?'"])?;
            while parser.begins_element() {
                if parser.take("?") {
                    list.optional_indices.push(list.elements.len());
                }
                let node = parser.expr()?;
                depth = depth.max(node.depth);
                list.elements.push(node.expr);
                if !parser.comma("']'")? {
                    break;
                }
            }
            if list.elements.is_empty() {
                parser.take(",");
            }
            Ok(())
        })?;
        self.expect("]")?;
        Ok(Node { expr: IdedExpr { id, expr: Expr::List(list) }, depth })
    }

    fn map(&mut self) -> Result<Node, Stop> {
        let brace = self.skip();
        let id = self.id(brace);
        let mut entries = Vec::new();
        let mut depth = 0;
        self.within(&["'}'", "','"], |parser| {
            parser.begins_operand(&["'}'", "','", "'?'"])?;
            while parser.begins_element() {
                let optional = parser.take("?");
                let key = parser.within(&["':'"], Self::expr)?;
                let colon = parser.current();
                parser.expect(":")?;
                let value = parser.expr()?;
                depth = depth.max(key.depth).max(value.depth);
                let entry = MapEntryExpr { key: key.expr, value: value.expr, optional };
                entries.push(IdedEntryExpr { id: parser.id(colon), expr: EntryExpr::MapEntry(entry) });
                if !parser.comma("'}'")? {
                    break;
                }
            }
            if entries.is_empty() {
                parser.take(",");
            }
            Ok(())
        })?;
        self.expect("}")?;
        Ok(Node { expr: IdedExpr { id, expr: Expr::Map(MapExpr { entries }) }, depth })
    }

    fn begins_element(&self) -> bool {
        self.is_next(&OPERAND) || self.peek() == Kind::Fixed("?")
    }

    /// Takes a comma; without one the end has to be next.
    fn comma(&mut self, end: &'static str) -> Result<bool, Stop> {
        if self.take(",") {
            return Ok(true);
        }
        if !self.is_next(&[end]) {
            self.unexpected(&[end, "','"])?;
            return Ok(self.take(","));
        }
        Ok(false)
    }
}
