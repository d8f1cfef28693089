//! Tasks that were taken before there is a slot for them, so that a slot that falls free waits for nobody.
//!
//! The one rule: a task waits here for a moment only. A service whose tasks take longer than that takes none ahead, and
//! what one slow task keeps waiting goes back to its queue, where another replica may take it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::work::Hand;

/// Who was last done with a task in less than this takes tasks ahead.
const QUICK: Duration = Duration::from_millis(5);
/// How long a task waits here.
const PATIENCE: Duration = Duration::from_millis(20);

/// In the order of their queue.
pub(super) struct Ahead {
    hands: VecDeque<(Instant, Hand)>,
    most: usize,
    quick: bool,
    /// Set anew when it has gone off, not for each task.
    alarm: Pin<Box<Sleep>>,
}

impl Ahead {
    pub(super) fn new(most: usize) -> Self {
        Self { hands: VecDeque::new(), most, quick: false, alarm: Box::pin(tokio::time::sleep(Duration::ZERO)) }
    }

    /// How many may be taken, when others are on their way.
    pub(super) fn room(&self, coming: usize) -> usize {
        if self.quick { self.most.saturating_sub(self.hands.len() + coming) } else { 0 }
    }

    /// A task is done with that took so long.
    pub(super) fn note(&mut self, took: Duration) {
        self.quick = took < QUICK;
    }

    pub(super) fn extend(&mut self, hands: impl Iterator<Item = Hand>) {
        let now = Instant::now();
        self.hands.extend(hands.map(|hand| (now, hand)));
    }

    pub(super) fn len(&self) -> usize {
        self.hands.len()
    }

    pub(super) fn next(&mut self) -> Option<Hand> {
        self.hands.pop_front().map(|(_, hand)| hand)
    }

    pub(super) fn take_all(&mut self) -> Vec<Hand> {
        self.hands.drain(..).map(|(_, hand)| hand).collect()
    }

    /// Waits until one has waited for too long.
    pub(super) async fn overdue(&mut self) {
        while let Some((since, _)) = self.hands.front() {
            let due = *since + PATIENCE;
            if due <= Instant::now() {
                return;
            }
            if self.alarm.is_elapsed() {
                self.alarm.as_mut().reset(due);
            }
            self.alarm.as_mut().await;
        }
        std::future::pending::<()>().await;
    }
}
