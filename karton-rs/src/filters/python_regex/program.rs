//! Compiles a pattern for the backtracking machine.
//!
//! One instruction per node and no unrolling: a program is never longer than a small multiple of its
//! pattern, whatever its counts are.

use super::{
    charset::CharSet,
    tree::{Assertion, Fold, Mode, Node, Parsed},
};

/// An instruction. Numbers named `slot` index the machine's registers.
#[derive(Debug)]
pub(super) enum Op {
    /// Consumes this character.
    Char(char),
    /// Consumes one character of the set.
    Set(CharSet),
    /// Consumes characters of the set one by one, as many (or as few) as the rest allows.
    Run {
        set: CharSet,
        min: u64,
        max: u64,
        lazy: bool,
    },
    Assert(Assertion),
    /// Goes on, and tries `other` when that fails.
    Split {
        other: usize,
    },
    Jump(usize),
    /// Notes the place.
    Save {
        slot: usize,
    },
    /// Starts counting; the slot after it remembers where the last round began.
    RepeatStart {
        slot: usize,
    },
    /// Head of a loop: next round, or on to `exit`.
    Repeat {
        slot: usize,
        min: u64,
        max: u64,
        lazy: bool,
        exit: usize,
    },
    /// Where a lazy loop comes back to for one more round.
    RepeatAgain {
        slot: usize,
    },
    /// Notes how deep the stack is.
    AtomicStart {
        slot: usize,
    },
    /// Forgets all other ways since the start.
    AtomicEnd {
        slot: usize,
    },
    /// Notes depth and place, and steps back.
    LookStart {
        slot: usize,
        back: u64,
    },
    /// As the end of an atomic part, at the noted place.
    LookEnd {
        slot: usize,
    },
    /// Notes depth, plans to go on at `after`, and steps back.
    NotStart {
        slot: usize,
        back: u64,
        after: usize,
    },
    /// The body matched: this way is closed.
    NotEnd {
        slot: usize,
    },
    /// Consumes what was captured.
    Backref {
        slot: usize,
        fold: Option<Fold>,
    },
    /// Jumps if the group has not matched.
    IfUnset {
        slot: usize,
        target: usize,
    },
    /// Found.
    Match,
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) ops: Vec<Op>,
    /// Number of registers: two per group, then those of loops and looks.
    pub(super) slots: usize,
    /// Only the start of the text needs to be tried.
    pub(super) anchored: bool,
}

impl Program {
    pub(super) fn new(parsed: &Parsed) -> Self {
        let mut compiler = Compiler { ops: Vec::new(), slots: 2 * (parsed.groups + 1), referred: &parsed.referred };
        compiler.node(&parsed.root);
        compiler.ops.push(Op::Match);
        let anchored = matches!(compiler.ops[0], Op::Assert(Assertion::Start));
        Self { ops: compiler.ops, slots: compiler.slots, anchored }
    }
}

struct Compiler<'a> {
    ops: Vec<Op>,
    slots: usize,
    referred: &'a [bool],
}

impl Compiler<'_> {
    fn node(&mut self, node: &Node) {
        match node {
            Node::Char(character) => self.ops.push(Op::Char(*character)),
            Node::Set(set) => self.ops.push(Op::Set(set.clone())),
            Node::Assert(assertion) => self.ops.push(Op::Assert(*assertion)),
            Node::Sequence(nodes) => nodes.iter().for_each(|node| self.node(node)),
            Node::Choice(branches) => self.choice(branches),
            Node::Group(number, body) => {
                if !self.referred.get(*number).copied().unwrap_or(false) {
                    return self.node(body);
                }
                self.ops.push(Op::Save { slot: 2 * number });
                self.node(body);
                self.ops.push(Op::Save { slot: 2 * number + 1 });
            }
            Node::Repeat { body, min, max, mode: Mode::Possessive } => {
                let slot = self.register(1);
                self.ops.push(Op::AtomicStart { slot });
                self.repeat(body, *min, *max, false, true);
                self.ops.push(Op::AtomicEnd { slot });
            }
            Node::Repeat { body, min, max, mode } => self.repeat(body, *min, *max, *mode == Mode::Lazy, false),
            Node::Atomic(body) => self.atomic(body),
            Node::Look { body, behind, negative } => self.look(body, behind.unwrap_or(0), *negative),
            Node::Backref { group, fold } => self.ops.push(Op::Backref { slot: 2 * group, fold: *fold }),
            Node::Conditional { group, yes, no } => {
                let test = self.ops.len();
                self.ops.push(Op::IfUnset { slot: 2 * group, target: 0 });
                self.node(yes);
                let jump = self.ops.len();
                self.ops.push(Op::Jump(0));
                let target = self.ops.len();
                self.ops[test] = Op::IfUnset { slot: 2 * group, target };
                self.node(no);
                self.ops[jump] = Op::Jump(self.ops.len());
            }
        }
    }

    fn register(&mut self, count: usize) -> usize {
        self.slots += count;
        self.slots - count
    }

    fn choice(&mut self, branches: &[Node]) {
        let mut jumps = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            if index + 1 == branches.len() {
                self.node(branch);
                break;
            }
            let split = self.ops.len();
            self.ops.push(Op::Split { other: 0 });
            self.node(branch);
            jumps.push(self.ops.len());
            self.ops.push(Op::Jump(0));
            self.ops[split] = Op::Split { other: self.ops.len() };
        }
        let end = self.ops.len();
        for jump in jumps {
            self.ops[jump] = Op::Jump(end);
        }
    }

    fn repeat(&mut self, body: &Node, min: u64, max: u64, lazy: bool, atomic_rounds: bool) {
        let set = match body {
            Node::Char(character) => Some(CharSet::single(*character)),
            Node::Set(set) => Some(set.clone()),
            _ => None,
        };
        if let Some(set) = set {
            self.ops.push(Op::Run { set, min, max, lazy });
            return;
        }
        if max == 0 {
            return;
        }
        let slot = self.register(2);
        self.ops.push(Op::RepeatStart { slot });
        let head = self.ops.len();
        self.ops.push(Op::Repeat { slot, min, max, lazy, exit: 0 });
        // Falls through to the body; a lazy loop that comes back enters one instruction later.
        self.ops.push(Op::Jump(head + 3));
        self.ops.push(Op::RepeatAgain { slot });
        if atomic_rounds {
            self.atomic(body);
        } else {
            self.node(body);
        }
        self.ops.push(Op::Jump(head));
        self.ops[head] = Op::Repeat { slot, min, max, lazy, exit: self.ops.len() };
    }

    fn atomic(&mut self, body: &Node) {
        let slot = self.register(1);
        self.ops.push(Op::AtomicStart { slot });
        self.node(body);
        self.ops.push(Op::AtomicEnd { slot });
    }

    fn look(&mut self, body: &Node, back: u64, negative: bool) {
        if !negative {
            let slot = self.register(2);
            self.ops.push(Op::LookStart { slot, back });
            self.node(body);
            self.ops.push(Op::LookEnd { slot });
            return;
        }
        let slot = self.register(1);
        let start = self.ops.len();
        self.ops.push(Op::NotStart { slot, back, after: 0 });
        self.node(body);
        self.ops.push(Op::NotEnd { slot });
        self.ops[start] = Op::NotStart { slot, back, after: self.ops.len() };
    }
}
