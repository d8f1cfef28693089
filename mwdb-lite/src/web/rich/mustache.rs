//! Mustache: variables, sections, inverted sections and comments, with dotted names.
//!
//! The context is an object with `key` and `value`. Nothing here escapes: variables in two and in three
//! braces are the same, because what they bring is text anyway. Partials and other delimiters are
//! refused. What a template makes is bounded.

use karton_rs::json::{Map, Value};

use super::{Glyph, LONGEST};

/// How deep sections may be nested.
const DEEPEST: usize = 16;

#[derive(Debug)]
enum Node {
    Text(String),
    Variable(Vec<String>),
    Section { name: Vec<String>, inverted: bool, inner: Vec<Self> },
}

/// The template with its variables filled in.
pub(super) fn expand(template: &str, key: &str, value: &Value) -> Result<Vec<Glyph>, String> {
    let mut parser = Parser { template, at: 0 };
    let nodes = parser.nodes(None, 0)?;
    let mut root = Map::new();
    root.insert("key".to_owned(), Value::from(key));
    root.insert("value".to_owned(), value.clone());
    let root = Value::Object(root);
    let mut writer = Writer { context: vec![&root], out: Vec::new(), steps: 0 };
    writer.write(&nodes)?;
    Ok(writer.out)
}

struct Parser<'a> {
    template: &'a str,
    at: usize,
}

impl Parser<'_> {
    /// Nodes up to the end of the section `of`, or of the template.
    fn nodes(&mut self, of: Option<&[String]>, depth: usize) -> Result<Vec<Node>, String> {
        if depth > DEEPEST {
            return Err("Sections are nested too deep.".to_owned());
        }
        let mut nodes = Vec::new();
        loop {
            let Some(start) = self.template[self.at..].find("{{").map(|found| self.at + found) else {
                nodes.push(Node::Text(self.template[self.at..].to_owned()));
                self.at = self.template.len();
                return match of {
                    None => Ok(nodes),
                    Some(name) => Err(format!("The section `{}` does not end.", name.join("."))),
                };
            };
            let raw = self.template[start..].starts_with("{{{");
            let (open, close) = if raw { (3, "}}}") } else { (2, "}}") };
            let length = self.template[start + open..].find(close).ok_or("A tag does not end.")?;
            let inside = self.template[start + open..start + open + length].trim();
            let end = start + open + length + close.len();
            let sigil = inside.chars().next().filter(|_| !raw).unwrap_or_default();
            let text = self.text(start, end, matches!(sigil, '#' | '^' | '/' | '!'));
            nodes.push(Node::Text(text));
            match sigil {
                '!' => {}
                '#' | '^' => {
                    let name = name(&inside[1..])?;
                    let inner = self.nodes(Some(&name), depth + 1)?;
                    nodes.push(Node::Section { name, inverted: sigil == '^', inner });
                }
                '/' => {
                    let name = name(&inside[1..])?;
                    return if of == Some(&name) { Ok(nodes) } else { Err(format!("No section `{}` is open here.", name.join("."))) };
                }
                '>' | '=' => return Err(format!("Templates know no `{{{{{sigil}`.")),
                '&' => nodes.push(Node::Variable(name(&inside[1..])?)),
                _ => nodes.push(Node::Variable(name(inside)?)),
            }
        }
    }

    /// The text before a tag. A tag that gives nothing and stands alone in its line takes the line along.
    fn text(&mut self, start: usize, end: usize, silent: bool) -> String {
        let line = self.template[..start].rfind('\n').map_or(0, |at| at + 1);
        let rest = &self.template[end..];
        let (after, next) = rest.find('\n').map_or((rest, self.template.len()), |at| (&rest[..at], end + at + 1));
        let alone = silent && line >= self.at && self.template[line..start].trim().is_empty() && after.trim().is_empty();
        let text = self.template[self.at..if alone { line } else { start }].to_owned();
        self.at = if alone { next } else { end };
        text
    }
}

/// The parts of a dotted name; none for the dot alone.
fn name(text: &str) -> Result<Vec<String>, String> {
    let text = text.trim();
    if text == "." {
        return Ok(Vec::new());
    }
    if text.is_empty() || text.split('.').any(|part| part.trim().is_empty()) {
        return Err(format!("`{text}` is no name."));
    }
    Ok(text.split('.').map(|part| part.trim().to_owned()).collect())
}

/// What has been written, and how much work it was.
struct Writer<'a> {
    context: Vec<&'a Value>,
    out: Vec<Glyph>,
    steps: usize,
}

impl Writer<'_> {
    fn push(&mut self, text: &str, written: bool) -> Result<(), String> {
        // Also what writes nothing costs something.
        self.steps += 1;
        if self.out.len() + text.len() > LONGEST || self.steps > LONGEST {
            return Err("What it makes of the value is too long.".to_owned());
        }
        self.out.extend(text.chars().map(|character| Glyph { character, written }));
        Ok(())
    }
}

impl<'a> Writer<'a> {
    fn write(&mut self, nodes: &[Node]) -> Result<(), String> {
        for node in nodes {
            match node {
                Node::Text(text) => self.push(text, true)?,
                Node::Variable(name) => {
                    let text = look_up(name, &self.context).map(plain).unwrap_or_default();
                    self.push(&text, false)?;
                }
                Node::Section { name, inverted, inner } => {
                    let value = look_up(name, &self.context).filter(|value| says_something(value));
                    match value {
                        None if *inverted => self.write(inner)?,
                        Some(Value::Array(items)) if !inverted => items.iter().try_for_each(|item| self.within(item, inner))?,
                        Some(value) if !inverted => self.within(value, inner)?,
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }

    fn within(&mut self, value: &'a Value, inner: &[Node]) -> Result<(), String> {
        self.context.push(value);
        let written = self.write(inner);
        self.context.pop();
        written
    }
}

/// The innermost context that knows the first part of the name decides.
fn look_up<'a>(name: &[String], context: &[&'a Value]) -> Option<&'a Value> {
    let Some((first, rest)) = name.split_first() else { return context.last().copied() };
    let mut found = context.iter().rev().find_map(|value| member(value, first))?;
    for part in rest {
        found = member(found, part)?;
    }
    Some(found)
}

fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Number(number) => number.as_f64() != 0.0,
        _ => true,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_json(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(template: &str, value: &str) -> Result<String, String> {
        let glyphs = expand(template, "k", &Value::parse(value).expect("JSON"))?;
        Ok(glyphs.into_iter().map(|glyph| glyph.character).collect())
    }

    #[test]
    fn variables_and_sections_do_what_mustache_says() {
        let cases = [
            ("{{key}}: {{value}}", "\"x\"", "k: x"),
            ("{{value.a.b}} {{value.list.1}} {{value.none}}", r#"{"a": {"b": 1.0}, "list": ["p", "q"]}"#, "1.0 q "),
            ("{{#value}}<{{.}}>{{/value}}", "[1, \"b\"]", "<1><b>"),
            ("{{#value.a}}{{b}}{{key}}{{/value.a}}", r#"{"a": {"b": 2}}"#, "2k"),
            ("{{^value.none}}no{{/value.none}}{{#value.none}}yes{{/value.none}}", "{\"a\": 1}", "no"),
            ("{{#value}}yes{{/value}}{{^value}}no{{/value}}", "0", "no"),
            ("a{{! comment }}b {{& value}} {{{ value }}}", "\"<\"", "ab < <"),
            ("{{value}}", r#"{"a": [1]}"#, "{\"a\": [1]}"),
            ("head\n{{#value}}\n- {{.}}\n{{/value}}\ntail", "[1, 2]", "head\n- 1\n- 2\ntail"),
        ];
        for (template, value, expected) in cases {
            assert_eq!(text(template, value).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_is_no_template_is_told() {
        for bad in ["{{", "{{value", "{{#value}}", "{{/value}}", "{{#a}}{{/b}}", "{{}}", "{{a..b}}", "{{> x}}", "{{= | | =}}", "{{{value}}"]
        {
            assert!(text(bad, "1").is_err(), "{bad}");
        }
        assert!(text(&"{{#value}}".repeat(100), "1").is_err());
    }

    #[test]
    fn what_a_template_makes_is_bounded() {
        let items = serde_json::to_string(&vec!["x"; 300]).expect("JSON");
        let lists = format!("[{}]", vec![items.as_str(); 100].join(","));
        assert!(text("{{#value}}{{#.}}text{{/.}}{{/value}}", &lists).is_err());
        assert_eq!(text(&format!("{0}{1}", "{{#value}}", "{{/value}}"), &items).as_deref(), Ok(""));
        assert!(text(&format!("{0}{0}{0}{1}{1}{1}", "{{#value}}", "{{/value}}"), &items).is_err(), "work without text");
    }
}
