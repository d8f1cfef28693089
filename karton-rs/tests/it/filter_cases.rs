//! Makes filter questions: headers first, then filters out of their values, so that matches, misses
//! and errors all come up often.

use karton_rs::json::{Map, Value, python_text};

pub struct Generator(u64);

const KEYS: [&str; 6] = ["type", "kind", "a", "b", "n", "0"];
const WORDS: [&str; 16] =
    ["sample", "raw", "runnable", "win32", "darwin", "", "a", "ab", "abc", "True", "1", "None", "x.y", "żółw", "a\nb", "5.0"];

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % bound
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }

    /// Filters and headers.
    pub fn case(&mut self) -> (Value, Value) {
        if self.one_in(4) {
            return self.regex_case();
        }
        let headers: Map = (0..=self.below(4)).map(|_| (self.pick(&KEYS).to_owned(), self.value(3))).collect();
        let rules = if self.one_in(40) { self.value(2) } else { Value::Array((0..=self.below(3)).map(|_| self.rule(&headers)).collect()) };
        (rules, Value::Object(headers))
    }

    fn scalar(&mut self) -> Value {
        match self.below(12) {
            0 => Value::Null,
            1 => Value::from(self.one_in(2)),
            2 | 3 => Value::from(i64::try_from(self.below(7)).unwrap() - 2),
            4 => Value::parse(self.pick(&["1.0", "0.0", "-0.0", "2.5", "1e16", "1e-5", "5.0", "-1.5", "1e300", "3.0"])).unwrap(),
            5 => Value::parse(self.pick(&[
                "9007199254740993",
                "9007199254740992.0",
                "123456789012345678901234567890",
                "-99999999999999999999",
                "18446744073709551616",
            ]))
            .unwrap(),
            _ => Value::from(self.pick(&WORDS)),
        }
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 1 } else { 5 }) {
            3 => Value::Array((0..self.below(4)).map(|_| self.value(depth - 1)).collect()),
            4 => Value::Object((0..self.below(3)).map(|_| (self.pick(&KEYS).to_owned(), self.value(depth - 1))).collect()),
            _ => self.scalar(),
        }
    }

    fn rule(&mut self, headers: &Map) -> Value {
        if self.one_in(60) {
            return self.scalar();
        }
        let whole = Value::Object(headers.clone());
        let mut rule = Map::new();
        for _ in 0..=self.below(3) {
            if self.one_in(12) {
                let (operator, operand) = self.operator(&whole, 2);
                rule.insert(operator, operand);
                continue;
            }
            let (path, value) = self.path(&whole);
            let entry = self.rule_value(&value);
            rule.insert(path, entry);
        }
        Value::Object(rule)
    }

    /// A path into a value, and what it leads to; now and then one that leads nowhere.
    fn path(&mut self, from: &Value) -> (String, Value) {
        let mut path: Vec<String> = Vec::new();
        let mut here = from.clone();
        loop {
            let step: Option<(String, Value)> = match &here {
                Value::Object(map) if !map.is_empty() => {
                    let index = self.below(map.len());
                    map.get_index(index).map(|(key, value)| (key.to_string(), value.clone()))
                }
                Value::Array(items) if !items.is_empty() => {
                    let index = self.below(items.len());
                    let text = match self.below(8) {
                        0 => format!("-{}", items.len() - index),
                        1 => format!(" {index}"),
                        2 => format!("0{index}"),
                        _ => index.to_string(),
                    };
                    if self.one_in(3) { None } else { Some((text, items[index].clone())) }
                }
                _ => None,
            };
            match step {
                Some((step, value)) if path.is_empty() || !self.one_in(3) => {
                    path.push(step);
                    here = value;
                }
                _ => break,
            }
        }
        if path.is_empty() || self.one_in(8) {
            path.push(self.pick(&["a", "b", "n", "0", "1", "-1", "9", "", "²", "1_0", "\u{661}", "len"]).to_owned());
        }
        (path.join("."), here)
    }

    fn rule_value(&mut self, value: &Value) -> Value {
        match self.below(10) {
            0 => value.clone(),
            1..=3 => {
                let text = self.bent(&python_text(value));
                Value::from(text)
            }
            4 | 5 => Value::from(format!("!{}", self.bent(&python_text(value)))),
            6 => self.scalar(),
            _ => self.condition(value, 2),
        }
    }

    /// The text itself, or a wildcard made of it.
    fn bent(&mut self, text: &str) -> String {
        let characters: Vec<char> = text.chars().take(20).collect();
        let mut out = String::new();
        if self.one_in(3) {
            return text.to_owned();
        }
        for character in characters {
            match self.below(14) {
                0 => out.push('*'),
                1 => out.push('?'),
                2 => out.extend(['[', character, ']']),
                3 => out.extend(['[', '!', character, ']']),
                4 => out.push_str(self.pick(&[
                    "[a-z]", "[z-a]", "[!z-a]", "[]x]", "[", "]", "[!]a]", "[a-]", "[b-a!x]", "[0-9-z]", "[^a]", "[!-~]", "[a-c-e]", "\\",
                    "!",
                ])),
                5 => {}
                _ => out.push(character),
            }
        }
        if self.one_in(4) {
            out.push('*');
        }
        out
    }

    fn condition(&mut self, value: &Value, depth: usize) -> Value {
        let mut condition = Map::new();
        for _ in 0..=self.below(4) / 3 {
            if self.one_in(5)
                && let Value::Object(_) = value
            {
                let (path, inner) = self.path(value);
                let inner = if self.one_in(2) || depth == 0 { inner } else { self.condition(&inner, depth - 1) };
                condition.insert(path, inner);
                continue;
            }
            let (operator, operand) = self.operator(value, depth);
            condition.insert(operator, operand);
        }
        Value::Object(condition)
    }

    fn near(&mut self, value: &Value) -> Value {
        match self.below(6) {
            0 => self.scalar(),
            1 => Value::from(python_text(value)),
            2 => match value {
                Value::Array(items) if !items.is_empty() => items[self.below(items.len())].clone(),
                _ => self.value(1),
            },
            _ => value.clone(),
        }
    }

    fn sub(&mut self, value: &Value, depth: usize) -> Value {
        if depth == 0 || self.one_in(2) { self.near(value) } else { self.condition(value, depth - 1) }
    }

    fn operator(&mut self, value: &Value, depth: usize) -> (String, Value) {
        let wrong = self.one_in(14);
        let operator = self.pick(&[
            "$eq",
            "$ne",
            "$gt",
            "$gte",
            "$lt",
            "$lte",
            "$in",
            "$nin",
            "$all",
            "$and",
            "$or",
            "$nor",
            "$not",
            "$elemMatch",
            "$size",
            "$type",
            "$mod",
            "$exists",
            "$exists",
            "$regex",
        ]);
        let list = |items: Vec<Value>| Value::Array(items);
        let operand = match operator {
            _ if wrong => self.value(1),
            "$in" | "$nin" | "$all" => list((0..self.below(4)).map(|_| self.near(value)).collect()),
            "$and" | "$or" | "$nor" => list((0..self.below(3)).map(|_| self.sub(value, depth)).collect()),
            "$not" => self.sub(value, depth),
            "$elemMatch" => match value {
                Value::Array(items) if !items.is_empty() && depth > 0 => {
                    let member = items[self.below(items.len())].clone();
                    self.condition(&member, depth - 1)
                }
                _ => object([("$eq", self.near(value))]),
            },
            "$size" => match value {
                Value::Array(items) if !self.one_in(3) => Value::from(items.len() as u64),
                _ => self.scalar(),
            },
            "$type" => {
                if self.one_in(2) {
                    Value::from(i64::try_from(self.below(20)).unwrap())
                } else {
                    Value::from(self.pick(&[
                        "double", "string", "object", "array", "bool", "null", "int", "long", "number", "date", "binData", "regex",
                        "decimal",
                    ]))
                }
            }
            "$mod" => {
                let (divisor, rest) = (self.scalar(), self.scalar());
                let (divisor, rest) =
                    if self.one_in(4) { (divisor, rest) } else { (Value::from(self.below(4) as u64), Value::from(self.below(3) as u64)) };
                list(vec![divisor, rest])
            }
            "$exists" => Value::parse(self.pick(&["true", "false", "true", "false", "1", "0", "null", "\"yes\"", "1.0"])).unwrap(),
            "$regex" => match value {
                Value::String(text) => Value::from(self.bent_pattern(text)),
                _ => Value::from(self.pattern(2)),
            },
            _ => self.near(value),
        };
        let operator = if self.one_in(60) { self.pick(&["$near", "$EQ", "$eq ", "$", "$options", "$where", "$text"]) } else { operator };
        (operator.to_owned(), operand)
    }

    fn bent_pattern(&mut self, text: &str) -> String {
        let mut out = String::new();
        for character in text.chars() {
            match self.below(8) {
                0 => out.push('.'),
                1 => out.push_str("\\w"),
                2 => out.extend(['[', '^', 'q', ']']),
                3 => out.extend([character, '?']),
                _ if character.is_alphanumeric() => out.push(character),
                _ => out.extend(['\\', character]),
            }
        }
        match self.below(5) {
            0 => format!("^{out}$"),
            1 => format!("/{out}/i"),
            _ => out,
        }
    }

    fn regex_case(&mut self) -> (Value, Value) {
        let pattern = self.pattern(3);
        let flags = if self.one_in(4) { self.pick(&["i", "m", "s", "x", "im", "ix"]) } else { "" };
        let pattern = match self.below(12) {
            0 => format!("(?i){pattern}"),
            1 => format!("(?a){pattern}"),
            2 => format!("(?x) {pattern}"),
            _ => pattern,
        };
        let pattern = if flags.is_empty() { pattern } else { format!("/{pattern}/{flags}") };
        let text: String = (0..self.below(9)).map(|_| self.character()).collect();
        let rule = object([("a", object([("$regex", Value::from(pattern))]))]);
        (Value::Array(vec![rule]), object([("a", Value::from(text))]))
    }

    fn character(&mut self) -> char {
        let odd = [
            'A', 'B', '\n', ' ', '1', '_', '-', ']', '[', 's', 'ſ', 'k', 'K', 'i', 'İ', 'ı', 'é', '\u{301}', '²', '\u{664}', '\u{1f}',
            '\u{a0}', 'ß', 'ẞ', 'σ', 'ς', '#', '&',
        ];
        if self.one_in(3) { odd[self.below(odd.len())] } else { ['a', 'b', 'c'][self.below(3)] }
    }

    fn pattern(&mut self, depth: usize) -> String {
        let mut out: String = (0..=self.below(3)).map(|_| self.piece(depth)).collect();
        if self.one_in(5) {
            out = format!("{out}|{}", self.piece(depth));
        }
        out
    }

    fn piece(&mut self, depth: usize) -> String {
        let atom = match self.below(if depth == 0 { 12 } else { 26 }) {
            0..=4 => {
                let character = self.character();
                if character.is_ascii_punctuation() { format!("\\{character}") } else { character.to_string() }
            }
            5 => ".".to_owned(),
            6 => self
                .pick(&["\\d", "\\w", "\\s", "\\D", "\\W", "\\S", "\\x41", "\\u0061", "\\141", "\\n", "\\0", "\\-", "\\é", "\\a"])
                .to_owned(),
            7 | 8 => self
                .pick(&[
                    "[abc]",
                    "[^a]",
                    "[a-c]",
                    "[]a]",
                    "[^]a]",
                    "[[a]",
                    "[a&&b]",
                    "[a--b]",
                    "[a-]",
                    "[-a]",
                    "[\\w-]",
                    "[\\d\\s]",
                    "[^\\W]",
                    "[\\b]",
                    "[a-\\x63]",
                    "[\\]a]",
                    "[s]",
                    "[k-l]",
                    "[^i]",
                    "[A-Z]",
                    "[a~~b]",
                    "[a||b]",
                    "[^\\n]",
                    "[\\-a]",
                    "[.]",
                    "[#]",
                    "[ a]",
                ])
                .to_owned(),
            9 | 10 => self.pick(&["^", "$", "\\A", "\\Z", "\\b", "\\B"]).to_owned(),
            11 => self
                .pick(&[
                    "\\q", "\\z", "\\p{L}", "[z-a]", "[\\q]", "(", ")", "[", "*", "{", "}", "{,2}", "a{2,1}", "(?z)", "x(?i)", "(?P<n>a)",
                    "(?P=n)", "\\1", "\\2", "\\8", "(?#c)", "a{}", "a{,}", "a{1", "\\", "\\x4", "\\777",
                ])
                .to_owned(),
            12..=15 => format!("({})", self.pattern(depth - 1)),
            16 => format!("(?:{})", self.pattern(depth - 1)),
            17 => format!("(?={})", self.pattern(depth - 1)),
            18 => format!("(?!{})", self.pattern(depth - 1)),
            19 => format!("(?<={})", self.pattern(depth - 2 * usize::from(depth > 1))),
            20 => format!("(?<!{})", self.pattern(depth - 2 * usize::from(depth > 1))),
            21 => format!("(?>{})", self.pattern(depth - 1)),
            22 => format!("({})\\1", self.pattern(depth - 1)),
            23 => format!("({})?(?(1){}|{})", self.pattern(0), self.piece(depth - 1), self.piece(depth - 1)),
            24 => format!("(?{}:{})", self.pick(&["i", "s", "m", "x", "-i", "i-s", "a", "u", "ai", "-s"]), self.pattern(depth - 1)),
            _ => format!("(?P<n>{})(?P=n)", self.pattern(depth - 1)),
        };
        match self.below(12) {
            0 => atom + "*",
            1 => atom + "+",
            2 => atom + "?",
            3 => {
                atom + self
                    .pick(&["*?", "+?", "??", "*+", "++", "?+", "{2}", "{1,2}", "{,2}", "{2,}", "{,2}?", "{1,2}+", "{0}", "{2}+", "**"])
            }
            _ => atom,
        }
    }
}
