//! The arithmetic of `bucket_script`: `params.a / (params.b + 1) * 100`.
//!
//! ```text
//! sum     = product { ("+" | "-") product }
//! product = factor { ("*" | "/" | "%") factor }
//! factor  = "-" factor | number | "params." name | name | "(" sum ")" | "Math." function "(" sum { "," sum } ")"
//! ```

use crate::limits::QUERY_DEPTH_MAX;

/// Bytes of a script.
const SCRIPT_BYTES_MAX: usize = 4_096;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the script is wrong at position {position}: {message}")]
pub(crate) struct ScriptError {
    position: usize,
    message: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Script(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Number(f64),
    Variable(String),
    Negative(Box<Node>),
    Binary(char, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Abs,
    Ceil,
    Floor,
    Log,
    Log10,
    Max,
    Min,
    Pow,
    Round,
    Sqrt,
}

impl Script {
    pub(crate) fn parse(source: &str) -> Result<Self, ScriptError> {
        let mut parser = Parser { source, at: 0, depth: 0 };
        if source.len() > SCRIPT_BYTES_MAX {
            return Err(parser.error(format!("longer than {SCRIPT_BYTES_MAX} bytes")));
        }
        let node = parser.sum()?;
        parser.skip_blanks();
        if parser.at < source.len() {
            return Err(parser.error("expected an operator"));
        }
        Ok(Self(node))
    }

    /// `None` when a variable is not given or the result is no number.
    pub(crate) fn evaluate(&self, variables: &[(&str, f64)]) -> Option<f64> {
        evaluate(&self.0, variables).filter(|result| result.is_finite())
    }
}

fn evaluate(node: &Node, variables: &[(&str, f64)]) -> Option<f64> {
    Some(match node {
        Node::Number(number) => *number,
        Node::Variable(name) => variables.iter().find(|(known, _)| known == name)?.1,
        Node::Negative(node) => -evaluate(node, variables)?,
        Node::Binary(operator, left, right) => {
            let (left, right) = (evaluate(left, variables)?, evaluate(right, variables)?);
            match operator {
                '+' => left + right,
                '-' => left - right,
                '*' => left * right,
                '/' => left / right,
                _ => left % right,
            }
        }
        Node::Call(function, arguments) => {
            let values: Vec<f64> = arguments.iter().map(|node| evaluate(node, variables)).collect::<Option<_>>()?;
            call(*function, &values)?
        }
    })
}

fn call(function: Function, values: &[f64]) -> Option<f64> {
    Some(match (function, values) {
        (Function::Abs, [value]) => value.abs(),
        (Function::Ceil, [value]) => value.ceil(),
        (Function::Floor, [value]) => value.floor(),
        (Function::Log, [value]) => value.ln(),
        (Function::Log10, [value]) => value.log10(),
        (Function::Round, [value]) => value.round(),
        (Function::Sqrt, [value]) => value.sqrt(),
        (Function::Max, [left, right]) => left.max(*right),
        (Function::Min, [left, right]) => left.min(*right),
        (Function::Pow, [base, exponent]) => base.powf(*exponent),
        _ => return None,
    })
}

struct Parser<'a> {
    source: &'a str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn sum(&mut self) -> Result<Node, ScriptError> {
        self.depth += 1;
        if self.depth > QUERY_DEPTH_MAX {
            return Err(self.error("too many brackets"));
        }
        let node = self.chain(&['+', '-'], Self::product);
        self.depth -= 1;
        node
    }

    fn product(&mut self) -> Result<Node, ScriptError> {
        self.chain(&['*', '/', '%'], Self::factor)
    }

    fn chain(
        &mut self,
        operators: &[char],
        part: fn(&mut Self) -> Result<Node, ScriptError>,
    ) -> Result<Node, ScriptError> {
        let mut node = part(self)?;
        loop {
            self.skip_blanks();
            let Some(operator) = self.peek().filter(|operator| operators.contains(operator)) else { return Ok(node) };
            self.at += 1;
            node = Node::Binary(operator, Box::new(node), Box::new(part(self)?));
        }
    }

    fn factor(&mut self) -> Result<Node, ScriptError> {
        self.skip_blanks();
        let mut is_negative = false;
        while self.take('-') {
            is_negative = !is_negative;
            self.skip_blanks();
        }
        let node = match self.peek() {
            Some('(') => {
                self.at += 1;
                let node = self.sum()?;
                self.expect(')')?;
                node
            }
            Some(first) if first.is_ascii_digit() || first == '.' => self.number()?,
            Some(first) if first.is_ascii_alphabetic() || first == '_' => self.name()?,
            _ => return Err(self.error("expected a number, a variable or '('")),
        };
        Ok(if is_negative { Node::Negative(Box::new(node)) } else { node })
    }

    fn number(&mut self) -> Result<Node, ScriptError> {
        let text = self.run(|c| c.is_ascii_digit() || c == '.');
        text.parse().map(Node::Number).map_err(|_| self.error(format!("{text} is no number")))
    }

    fn name(&mut self) -> Result<Node, ScriptError> {
        let text = self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        let Some(function) = text.strip_prefix("Math.") else {
            return Ok(Node::Variable(text.strip_prefix("params.").unwrap_or(&text).to_owned()));
        };
        let function = match function {
            "abs" => Function::Abs,
            "ceil" => Function::Ceil,
            "floor" => Function::Floor,
            "log" => Function::Log,
            "log10" => Function::Log10,
            "max" => Function::Max,
            "min" => Function::Min,
            "pow" => Function::Pow,
            "round" => Function::Round,
            "sqrt" => Function::Sqrt,
            _ => return Err(self.error(format!("the function {text} is not known"))),
        };
        self.expect('(')?;
        let mut arguments = vec![self.sum()?];
        self.skip_blanks();
        while self.take(',') {
            arguments.push(self.sum()?);
            self.skip_blanks();
        }
        self.expect(')')?;
        Ok(Node::Call(function, arguments))
    }

    fn run(&mut self, belongs: fn(char) -> bool) -> String {
        let rest = &self.source[self.at..];
        let len = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += len;
        rest[..len].to_owned()
    }

    fn expect(&mut self, wanted: char) -> Result<(), ScriptError> {
        self.skip_blanks();
        if self.take(wanted) { Ok(()) } else { Err(self.error(format!("expected '{wanted}'"))) }
    }

    fn take(&mut self, wanted: char) -> bool {
        let is_here = self.peek() == Some(wanted);
        self.at += if is_here { wanted.len_utf8() } else { 0 };
        is_here
    }

    fn peek(&self) -> Option<char> {
        self.source[self.at..].chars().next()
    }

    fn skip_blanks(&mut self) {
        while let Some(blank) = self.peek().filter(|c| c.is_whitespace()) {
            self.at += blank.len_utf8();
        }
    }

    fn error(&self, message: impl Into<String>) -> ScriptError {
        ScriptError { position: self.at, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(source: &str) -> Option<f64> {
        Script::parse(source).unwrap().evaluate(&[("a", 6.0), ("b", 4.0)])
    }

    #[test]
    fn arithmetic_has_its_usual_order() {
        assert_eq!(value("params.a + params.b * 2"), Some(14.0));
        assert_eq!(value("(params.a + params.b) * 2 - -1"), Some(21.0));
        assert_eq!(value("params.a / params.b % 1"), Some(0.5));
        assert_eq!(value("Math.max(params.a, Math.abs(-7)) * 1.5"), Some(10.5));
    }

    #[test]
    fn what_has_no_number_has_no_value() {
        assert_eq!(value("params.a / 0"), None);
        assert_eq!(value("params.unknown"), None);
        assert_eq!(value("Math.max(1)"), None);
    }

    #[test]
    fn errors_say_where() {
        assert_eq!(Script::parse("params.a +").unwrap_err().position, 10);
        assert_eq!(Script::parse("1 2").unwrap_err().position, 2);
        assert!(Script::parse("Math.exec(1)").unwrap_err().message.contains("Math.exec"));
        assert!(Script::parse(&"(".repeat(100)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(source in "[-+*/%(). a-zM0-9支]{0,30}") {
            let _ = Script::parse(&source).map(|script| script.evaluate(&[]));
        }
    }
}
