//! Runs a program by trying one way after the other.
//!
//! All state that a failed way must give back lies on one explicit stack, so nothing here recurses.
//! Every instruction and every character of a run is counted against the caller's limit.

use super::{
    StepLimit,
    charset::simple_lower,
    program::{Op, Program},
    tables,
    tree::{Assertion, Fold},
};

/// Ways and old values remembered at one time (24 to 32 bytes each).
const MAX_STACK: usize = 1_000_000;

/// A register that holds nothing.
const UNSET: usize = usize::MAX;

/// What to do when the way being tried fails, last first.
enum Entry {
    /// Try another way.
    Branch { pc: usize, at: usize },
    /// A greedy run gives one character back, down to `least`.
    Run { pc: usize, least: usize, at: usize },
    /// A lazy run takes one more character.
    Lazy { pc: usize, at: usize, left: u64 },
    /// Put an old value back.
    Slot { slot: usize, old: usize },
}

struct Machine<'a> {
    program: &'a Program,
    text: &'a str,
    slots: Vec<usize>,
    stack: Vec<Entry>,
    /// Steps left.
    left: &'a mut usize,
}

/// Is there a match that starts anywhere? Takes its steps off `left`.
pub(super) fn search(program: &Program, text: &str, left: &mut usize) -> Result<bool, StepLimit> {
    let mut machine = Machine { program, text, slots: vec![UNSET; program.slots], stack: Vec::new(), left };
    let mut start = 0;
    loop {
        if machine.run(start)? {
            return Ok(true);
        }
        match text[start..].chars().next() {
            Some(character) if !program.anchored => start += character.len_utf8(),
            _ => return Ok(false),
        }
    }
}

impl Machine<'_> {
    fn spend(&mut self, steps: usize) -> Result<(), StepLimit> {
        let left = self.left.checked_sub(steps);
        *self.left = left.unwrap_or(0);
        left.map(|_| ()).ok_or(StepLimit)
    }

    fn push(&mut self, entry: Entry) -> Result<(), StepLimit> {
        if self.stack.len() >= MAX_STACK {
            return Err(StepLimit);
        }
        self.stack.push(entry);
        Ok(())
    }

    fn set(&mut self, slot: usize, value: usize) -> Result<(), StepLimit> {
        let old = std::mem::replace(&mut self.slots[slot], value);
        if old == value || self.stack.is_empty() { Ok(()) } else { self.push(Entry::Slot { slot, old }) }
    }

    fn character(&self, at: usize) -> Option<char> {
        self.text[at..].chars().next()
    }

    /// `count` characters before `at`.
    fn back(&mut self, at: usize, count: u64) -> Result<Option<usize>, StepLimit> {
        if count == 0 {
            return Ok(Some(at));
        }
        let Some(index) = usize::try_from(count - 1).ok().filter(|index| *index < at) else { return Ok(None) };
        self.spend(index / 8)?;
        Ok(self.text[..at].char_indices().rev().nth(index).map(|(start, _)| start))
    }

    /// Tries to match at one place. The slots are clean again after a failure.
    fn run(&mut self, start: usize) -> Result<bool, StepLimit> {
        // With nothing on the stack old values are not kept, so start from clean registers.
        self.slots.fill(UNSET);
        self.spend(1 + self.slots.len() / 16)?;
        let mut at = start;
        let mut pc = 0;
        loop {
            self.spend(1)?;
            let next = match self.step(pc, at)? {
                Step::Go(pc, at) => Some((pc, at)),
                Step::Fail => self.backtrack()?,
                Step::Found => {
                    self.stack.clear();
                    return Ok(true);
                }
            };
            match next {
                Some(state) => (pc, at) = state,
                None => return Ok(false),
            }
        }
    }

    fn backtrack(&mut self) -> Result<Option<(usize, usize)>, StepLimit> {
        while let Some(entry) = self.stack.pop() {
            match entry {
                Entry::Slot { slot, old } => self.slots[slot] = old,
                Entry::Branch { pc, at } => return Ok(Some((pc, at))),
                Entry::Run { pc, least, at } => {
                    let at = self.text[..at].char_indices().next_back().map_or(least, |(start, _)| start);
                    if at > least {
                        self.push(Entry::Run { pc, least, at })?;
                    }
                    return Ok(Some((pc + 1, at)));
                }
                Entry::Lazy { pc, at, left } => {
                    let (Op::Run { set, .. }, Some(character)) = (&self.program.ops[pc], self.character(at)) else { continue };
                    if !set.contains(character) {
                        continue;
                    }
                    let at = at + character.len_utf8();
                    if left > 1 {
                        self.push(Entry::Lazy { pc, at, left: left - 1 })?;
                    }
                    return Ok(Some((pc + 1, at)));
                }
            }
        }
        Ok(None)
    }

    fn step(&mut self, pc: usize, at: usize) -> Result<Step, StepLimit> {
        let program = self.program;
        let next = pc + 1;
        Ok(match &program.ops[pc] {
            Op::Char(wanted) => match self.character(at) {
                Some(character) if character == *wanted => Step::Go(next, at + character.len_utf8()),
                _ => Step::Fail,
            },
            Op::Set(set) => match self.character(at) {
                Some(character) if set.contains(character) => Step::Go(next, at + character.len_utf8()),
                _ => Step::Fail,
            },
            Op::Run { set, min, max, lazy } => {
                let mut end = at;
                let mut least = at;
                let mut count = 0;
                let most = if *lazy { *min } else { *max };
                for character in self.text[at..].chars() {
                    if count == most || !set.contains(character) {
                        break;
                    }
                    count += 1;
                    end += character.len_utf8();
                    if count == *min {
                        least = end;
                    }
                }
                self.spend((end - at) / 8)?;
                if count < *min {
                    return Ok(Step::Fail);
                }
                if *lazy && min < max {
                    self.push(Entry::Lazy { pc, at: end, left: max - min })?;
                } else if end > least {
                    self.push(Entry::Run { pc, least, at: end })?;
                }
                Step::Go(next, end)
            }
            Op::Assert(assertion) => {
                if self.holds(*assertion, at) {
                    Step::Go(next, at)
                } else {
                    Step::Fail
                }
            }
            Op::Split { other } => {
                self.push(Entry::Branch { pc: *other, at })?;
                Step::Go(next, at)
            }
            Op::Jump(target) => Step::Go(*target, at),
            Op::Save { slot } => {
                self.set(*slot, at)?;
                Step::Go(next, at)
            }
            Op::RepeatStart { slot } => {
                self.set(*slot, 0)?;
                self.set(slot + 1, UNSET)?;
                Step::Go(next, at)
            }
            Op::Repeat { slot, min, max, lazy, exit } => {
                let count = self.slots[*slot] as u64;
                if count < *min {
                    self.set(*slot, self.slots[*slot] + 1)?;
                    return Ok(Step::Go(next, at));
                }
                if count >= *max || self.slots[slot + 1] == at {
                    return Ok(Step::Go(*exit, at));
                }
                if *lazy {
                    self.push(Entry::Branch { pc: pc + 2, at })?;
                    return Ok(Step::Go(*exit, at));
                }
                self.push(Entry::Branch { pc: *exit, at })?;
                Step::Go(pc + 2, at)
            }
            Op::RepeatAgain { slot } => {
                self.set(*slot, self.slots[*slot] + 1)?;
                self.set(slot + 1, at)?;
                Step::Go(next, at)
            }
            Op::AtomicStart { slot } => {
                self.slots[*slot] = self.stack.len();
                Step::Go(next, at)
            }
            Op::AtomicEnd { slot } => {
                self.cut(self.slots[*slot])?;
                Step::Go(next, at)
            }
            Op::LookStart { slot, back } => {
                let Some(from) = self.back(at, *back)? else { return Ok(Step::Fail) };
                self.slots[*slot] = self.stack.len();
                self.slots[slot + 1] = at;
                Step::Go(next, from)
            }
            Op::LookEnd { slot } => {
                self.cut(self.slots[*slot])?;
                Step::Go(next, self.slots[slot + 1])
            }
            Op::NotStart { slot, back, after } => {
                let Some(from) = self.back(at, *back)? else { return Ok(Step::Go(*after, at)) };
                self.slots[*slot] = self.stack.len();
                self.push(Entry::Branch { pc: *after, at })?;
                Step::Go(next, from)
            }
            Op::NotEnd { slot } => {
                let depth = self.slots[*slot];
                self.spend(self.stack.len().saturating_sub(depth) / 8)?;
                while self.stack.len() > depth {
                    if let Some(Entry::Slot { slot, old }) = self.stack.pop() {
                        self.slots[slot] = old;
                    }
                }
                Step::Fail
            }
            Op::Backref { slot, fold } => self.backref(*slot, *fold, at)?.map_or(Step::Fail, |end| Step::Go(next, end)),
            Op::IfUnset { slot, target } => Step::Go(if self.captured(*slot).is_some() { next } else { *target }, at),
            Op::Match => Step::Found,
        })
    }

    /// Forgets the ways above `depth`, keeping the old values they would have put back.
    fn cut(&mut self, depth: usize) -> Result<(), StepLimit> {
        self.spend(self.stack.len().saturating_sub(depth) / 8)?;
        let mut kept = depth;
        for index in depth..self.stack.len() {
            if matches!(self.stack[index], Entry::Slot { .. }) {
                self.stack.swap(kept, index);
                kept += 1;
            }
        }
        self.stack.truncate(kept);
        Ok(())
    }

    fn captured(&self, slot: usize) -> Option<(usize, usize)> {
        let (start, end) = (self.slots[slot], self.slots[slot + 1]);
        (start != UNSET && end != UNSET && start <= end).then_some((start, end))
    }

    fn backref(&mut self, slot: usize, fold: Option<Fold>, at: usize) -> Result<Option<usize>, StepLimit> {
        let Some((start, end)) = self.captured(slot) else { return Ok(None) };
        self.spend((end - start) / 8)?;
        let (wanted, rest) = (&self.text[start..end], &self.text[at..]);
        let Some(fold) = fold else {
            return Ok(rest.starts_with(wanted).then_some(at + wanted.len()));
        };
        let lower = |character: char| match fold {
            Fold::Ascii => character.to_ascii_lowercase(),
            Fold::Unicode => simple_lower(character),
        };
        let mut end = at;
        let mut characters = rest.chars();
        for wanted in wanted.chars() {
            match characters.next() {
                Some(character) if lower(character) == lower(wanted) => end += character.len_utf8(),
                _ => return Ok(None),
            }
        }
        Ok(Some(end))
    }

    fn holds(&self, assertion: Assertion, at: usize) -> bool {
        let bytes = self.text.as_bytes();
        match assertion {
            Assertion::Start => at == 0,
            Assertion::StartOfLine => at == 0 || bytes[at - 1] == b'\n',
            Assertion::End => bytes[at..].is_empty() || bytes[at..] == *b"\n",
            Assertion::EndOfLine => at == bytes.len() || bytes[at] == b'\n',
            Assertion::EndOfText => at == bytes.len(),
            Assertion::WordBoundary { ascii } => self.word_boundary(ascii, at),
            // Python: an empty text has no place that is not a boundary either.
            Assertion::NotWordBoundary { ascii } => !bytes.is_empty() && !self.word_boundary(ascii, at),
        }
    }

    fn word_boundary(&self, ascii: bool, at: usize) -> bool {
        let before = self.text[..at].chars().next_back().is_some_and(|character| is_word(character, ascii));
        before != self.character(at).is_some_and(|character| is_word(character, ascii))
    }
}

fn is_word(character: char, ascii: bool) -> bool {
    if character.is_ascii() || ascii {
        return character.is_ascii_alphanumeric() || character == '_';
    }
    let code = u32::from(character);
    let index = tables::WORD.partition_point(|(_, high)| *high < code);
    tables::WORD.get(index).is_some_and(|(low, _)| *low <= code)
}

enum Step {
    /// On with this instruction at this place.
    Go(usize, usize),
    Fail,
    Found,
}
