//! Parentheses: groups, look-around, conditionals and inline flags.

use super::{Item, MAX_DEPTH, Parser, REPEAT_LIMIT, Token, Width, other};
use crate::filters::python_regex::{Flags, PatternError, tree::Node};

impl Parser {
    /// A parenthesis. Nothing comes back for comments and global flags.
    pub(super) fn group(&mut self, flags: &mut Flags, depth: usize, global_allowed: bool) -> Result<Option<Item>, PatternError> {
        if !self.eat('?')? {
            return self.capture(None, *flags, depth).map(Some);
        }
        let Some(token) = self.take()? else {
            return Err(self.error("unexpected end of pattern"));
        };
        let Token::Plain(character) = token else {
            return Err(self.error("unknown kind of group"));
        };
        match character {
            ':' => self.enclosed(*flags, depth).map(|(node, width)| Some(other(node, width))),
            '>' => self.enclosed(*flags, depth).map(|(node, width)| Some(other(Node::Atomic(Box::new(node)), width))),
            '=' | '!' => self.look(character == '!', false, *flags, depth).map(Some),
            '<' => match self.take()? {
                Some(Token::Plain(kind @ ('=' | '!'))) => self.look(kind == '!', true, *flags, depth).map(Some),
                _ => Err(self.error("unknown kind of group ?<")),
            },
            'P' => self.named(*flags, depth).map(Some),
            '(' => self.conditional(*flags, depth).map(Some),
            '#' => loop {
                match self.take()? {
                    None => return Err(self.error("unterminated comment")),
                    Some(Token::Plain(')')) => return Ok(None),
                    Some(_) => {}
                }
            },
            '-' | 'a' | 'i' | 'L' | 'm' | 's' | 'u' | 'x' => {
                let Some(inner) = self.inline_flags(character, *flags)? else {
                    if !global_allowed {
                        return Err(self.error("global flags belong at the start of the pattern"));
                    }
                    *flags = self.flags;
                    return Ok(None);
                };
                self.enclosed(inner, depth).map(|(node, width)| Some(other(node, width)))
            }
            _ => Err(self.error(format!("unknown kind of group ?{character}"))),
        }
    }

    /// The rest of a group up to its closing parenthesis.
    fn enclosed(&mut self, flags: Flags, depth: usize) -> Result<(Node, Width), PatternError> {
        let inner = self.choice(flags, depth + 1)?;
        if !self.eat(')')? {
            return Err(self.error("unterminated group"));
        }
        Ok(inner)
    }

    fn capture(&mut self, name: Option<String>, flags: Flags, depth: usize) -> Result<Item, PatternError> {
        let number = self.groups.len();
        self.groups.push(None);
        if let Some(name) = name
            && self.names.insert(name, number).is_some()
        {
            return Err(self.error("two groups have the same name"));
        }
        let (node, width) = self.enclosed(flags, depth)?;
        self.groups[number] = Some(width);
        Ok(other(Node::Group(number, Box::new(node)), width))
    }

    fn look(&mut self, negative: bool, behind: bool, flags: Flags, depth: usize) -> Result<Item, PatternError> {
        let outer = self.lookbehind;
        if behind && outer.is_none() {
            self.lookbehind = Some(self.groups.len());
        }
        let (node, (low, high)) = self.enclosed(flags, depth)?;
        self.lookbehind = outer;
        if behind && low != high {
            return Err(self.error("lookbehind needs a fixed width"));
        }
        if behind && low >= REPEAT_LIMIT {
            return Err(self.error("lookbehind is too wide"));
        }
        Ok(other(Node::Look { body: Box::new(node), behind: behind.then_some(low), negative }, (0, 0)))
    }

    /// After `(?P`.
    fn named(&mut self, flags: Flags, depth: usize) -> Result<Item, PatternError> {
        match self.take()? {
            Some(Token::Plain('<')) => {
                let name = self.until('>')?;
                if !is_identifier(&name) {
                    return Err(self.error(format!("bad group name {name:?}")));
                }
                self.capture(Some(name), flags, depth)
            }
            Some(Token::Plain('=')) => {
                let name = self.until(')')?;
                let Some(group) = self.names.get(&name).copied() else {
                    return Err(self.error(format!("unknown group name {name:?}")));
                };
                self.backref(group, flags)
            }
            _ => Err(self.error("unknown kind of group ?P")),
        }
    }

    fn until(&mut self, end: char) -> Result<String, PatternError> {
        let mut name = String::new();
        loop {
            match self.take()? {
                None => return Err(self.error(format!("missing {end}"))),
                Some(Token::Plain(character)) if character == end => break,
                Some(Token::Plain(character)) => name.push(character),
                Some(Token::Escape(character)) => name.extend(['\\', character]),
            }
        }
        if name.is_empty() {
            return Err(self.error("missing group name"));
        }
        Ok(name)
    }

    /// After `(?(`.
    fn conditional(&mut self, flags: Flags, depth: usize) -> Result<Item, PatternError> {
        if depth >= MAX_DEPTH {
            return Err(self.error(format!("groups are nested deeper than {MAX_DEPTH}")));
        }
        let name = self.until(')')?;
        let group = if is_identifier(&name) {
            self.names.get(&name).copied().ok_or_else(|| self.error(format!("unknown group name {name:?}")))?
        } else {
            let number = crate::filters::path::python_int(&name).and_then(|number| usize::try_from(number).ok());
            let group = number.ok_or_else(|| self.error(format!("bad group name {name:?}")))?;
            if group == 0 {
                return Err(self.error("bad group number"));
            }
            self.largest_condition = self.largest_condition.max(group);
            group
        };
        self.check_lookbehind(group)?;
        self.refer(group);
        let (yes, yes_width) = self.sequence(flags, depth + 1, false)?;
        let (no, no_width) = if self.eat('|')? {
            let no = self.sequence(flags, depth + 1, false)?;
            if self.at('|') {
                return Err(self.error("a conditional has two branches at most"));
            }
            no
        } else {
            (Node::Sequence(Vec::new()), (0, 0))
        };
        if !self.eat(')')? {
            return Err(self.error("unterminated group"));
        }
        let width = (yes_width.0.min(no_width.0), yes_width.1.max(no_width.1));
        Ok(other(Node::Conditional { group, yes: Box::new(yes), no: Box::new(no) }, width))
    }

    /// Flags after `(?`: of the whole pattern (nothing comes back), or of a group.
    fn inline_flags(&mut self, first: char, outer: Flags) -> Result<Option<Flags>, PatternError> {
        let mut on = String::new();
        let mut off = String::new();
        let mut character = first;
        while !matches!(character, ')' | ':' | '-') {
            self.check_flag(character, &on)?;
            on.push(character);
            character = self.flag_character()?;
        }
        if character == ')' {
            self.ascii |= on.contains('a');
            self.unicode |= on.contains('u');
            self.flags = with_flags(self.flags, &on, "");
            return Ok(None);
        }
        if character == '-' {
            character = self.flag_character()?;
            while character != ':' {
                if matches!(character, 'a' | 'u' | 'L' | ')' | '-') {
                    return Err(self.error("bad inline flags"));
                }
                self.check_flag(character, "")?;
                off.push(character);
                character = self.flag_character()?;
            }
            if off.is_empty() {
                return Err(self.error("missing flag"));
            }
        }
        if on.chars().any(|flag| off.contains(flag)) {
            return Err(self.error("flag turned on and off"));
        }
        Ok(Some(with_flags(outer, &on, &off)))
    }

    fn flag_character(&mut self) -> Result<char, PatternError> {
        match self.take()? {
            Some(Token::Plain(character)) => Ok(character),
            _ => Err(self.error("unterminated inline flags")),
        }
    }

    fn check_flag(&self, flag: char, before: &str) -> Result<(), PatternError> {
        let clash = match flag {
            'i' | 'm' | 's' | 'x' => false,
            'a' => before.contains('u'),
            'u' => before.contains('a'),
            _ => true,
        };
        if clash { Err(self.error(format!("inline flag {flag} is not allowed here"))) } else { Ok(()) }
    }
}

fn with_flags(mut flags: Flags, on: &str, off: &str) -> Flags {
    for (letters, value) in [(on, true), (off, false)] {
        for letter in letters.chars() {
            match letter {
                'i' => flags.ignore_case = value,
                'm' => flags.multi_line = value,
                's' => flags.dot_all = value,
                'x' => flags.verbose = value,
                'a' => flags.ascii = true,
                // `(?u:..)` inside of `(?a)`.
                'u' => flags.ascii = false,
                _ => {}
            }
        }
    }
    flags
}

fn is_identifier(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first == '_' || first.is_alphabetic())
        && characters.all(|character| character == '_' || character.is_alphanumeric())
}
