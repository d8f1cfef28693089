//! Sets of characters: the only thing a pattern consumes. Case is resolved here, when a set is made.
//!
//! Python compares `lower(character)` with the pattern, and treats lower-case letters that share their
//! upper case as equal (`s` and `ſ`). [`CharSet::fold`] adds everything that rule reaches.

use std::{collections::HashMap, sync::LazyLock};

const LAST: u32 = 0x10_ffff;

/// A set of Unicode characters: sorted inclusive ranges that do not touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CharSet {
    ranges: Vec<(u32, u32)>,
    /// The first 128 characters again, for speed.
    ascii: u128,
}

impl CharSet {
    /// Takes ranges in any order. Surrogates are dropped: no text holds them.
    pub(super) fn new(mut ranges: Vec<(u32, u32)>) -> Self {
        for range in &mut ranges {
            if (0xd800..0xe000).contains(&range.0) {
                range.0 = 0xe000;
            }
            if (0xd800..0xe000).contains(&range.1) {
                range.1 = 0xd7ff;
            }
        }
        ranges.retain(|(low, high)| low <= high);
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match merged.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        let ascii = (0..128_u32).filter(|code| contains(&merged, *code)).fold(0, |bits, code| bits | (1_u128 << code));
        Self { ranges: merged, ascii }
    }

    pub(super) fn single(character: char) -> Self {
        Self::new(vec![(character.into(), character.into())])
    }

    pub(super) fn any() -> Self {
        Self::new(vec![(0, LAST)])
    }

    pub(super) fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// The only member, when there is just one.
    pub(super) fn only(&self) -> Option<char> {
        match self.ranges[..] {
            [(low, high)] if low == high => char::from_u32(low),
            _ => None,
        }
    }

    pub(super) fn contains(&self, character: char) -> bool {
        let code = u32::from(character);
        if code < 128 { self.ascii >> code & 1 == 1 } else { contains(&self.ranges, code) }
    }

    pub(super) fn negate(&self) -> Self {
        let mut ranges = Vec::with_capacity(self.ranges.len() + 1);
        let mut next = 0;
        for (low, high) in &self.ranges {
            if *low > next {
                ranges.push((next, low - 1));
            }
            next = high + 1;
        }
        if next <= LAST {
            ranges.push((next, LAST));
        }
        Self::new(ranges)
    }

    /// Adds what Python's `IGNORECASE` lets a member stand for.
    pub(super) fn fold(self, ascii: bool) -> Self {
        let mut ranges = self.ranges.clone();
        if ascii {
            for letter in (b'A'..=b'Z').map(u32::from) {
                for (member, twin) in [(letter, letter + 32), (letter + 32, letter)] {
                    if contains(&self.ranges, member) {
                        ranges.push((twin, twin));
                    }
                }
            }
            return Self::new(ranges);
        }
        let case = &*CASE;
        let mut lower: Vec<u32> = Vec::new();
        if let Some(character) = self.only() {
            // The usual case, without a walk over the table.
            lower.push(simple_lower(character).into());
        } else {
            lower.extend(case.lower.iter().filter(|(from, _)| contains(&self.ranges, *from)).map(|(_, to)| *to));
            lower.extend(case.upper.keys().filter(|to| contains(&self.ranges, **to)));
            lower.extend(case.twins.keys().filter(|to| contains(&self.ranges, **to)));
        }
        lower.sort_unstable();
        lower.dedup();
        let twins: Vec<u32> = lower.iter().filter_map(|code| case.twins.get(code)).flatten().copied().collect();
        for code in lower.into_iter().chain(twins) {
            ranges.push((code, code));
            ranges.extend(case.upper.get(&code).into_iter().flatten().map(|code| (*code, *code)));
        }
        Self::new(ranges)
    }
}

fn contains(ranges: &[(u32, u32)], code: u32) -> bool {
    let index = ranges.partition_point(|(_, high)| *high < code);
    ranges.get(index).is_some_and(|(low, _)| *low <= code)
}

/// Lower case as far as it is one character.
pub(super) fn simple_lower(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_lowercase();
    }
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(single), None) => single,
        // The dotted capital I is the only one that grows; Unicode's simple mapping is a plain i.
        (Some(first), Some(_)) => first,
        _ => character,
    }
}

struct Case {
    /// Characters that are not their own lower case, with it.
    lower: Vec<(u32, u32)>,
    /// The same the other way round.
    upper: HashMap<u32, Vec<u32>>,
    /// Lower-case characters, with the others that have the same upper case.
    twins: HashMap<u32, Vec<u32>>,
}

static CASE: LazyLock<Case> = LazyLock::new(|| {
    let mut lower = Vec::new();
    let mut upper: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut same_upper: HashMap<String, Vec<u32>> = HashMap::new();
    // No cased letters beyond the second plane.
    for character in (0..0x2_0000).filter_map(char::from_u32) {
        let low = simple_lower(character);
        if low != character {
            lower.push((character.into(), low.into()));
            upper.entry(low.into()).or_default().push(character.into());
        }
        let mut capital = character.to_uppercase();
        if low != character || capital.next() != Some(character) {
            same_upper.entry(character.to_uppercase().collect()).or_default().push(low.into());
        }
    }
    let mut twins: HashMap<u32, Vec<u32>> = HashMap::new();
    for mut group in same_upper.into_values() {
        group.sort_unstable();
        group.dedup();
        for code in &group {
            if group.len() > 1 {
                twins.insert(*code, group.iter().copied().filter(|other| other != code).collect());
            }
        }
    }
    Case { lower, upper, twins }
});
