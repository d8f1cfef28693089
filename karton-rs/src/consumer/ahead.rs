//! Tasks that were taken before there is a slot for them, so that a slot that falls free waits for nobody.
//!
//! The one rule: a task waits here for a moment only. A service whose tasks take longer than that takes none ahead, and
//! what one slow task keeps waiting goes back to its queue, where another replica may take it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::work::Hand;

/// A service whose last task took less than this takes tasks ahead.
pub(super) const QUICK: Duration = Duration::from_millis(5);
/// How long a task waits here.
const PATIENCE: Duration = Duration::from_millis(20);

/// In the order of their queue.
pub(super) struct Ahead {
    hands: VecDeque<(Instant, Hand)>,
    most: usize,
    /// Set anew when it has gone off, not for each task.
    alarm: Pin<Box<Sleep>>,
}

impl Ahead {
    pub(super) fn new(most: usize) -> Self {
        Self { hands: VecDeque::new(), most, alarm: Box::pin(tokio::time::sleep(Duration::ZERO)) }
    }

    /// How many may be taken, when others are on their way.
    pub(super) fn room(&self, coming: usize) -> usize {
        self.most.saturating_sub(self.hands.len() + coming)
    }

    /// Whether one has waited for too long.
    pub(super) fn is_overdue(&self) -> bool {
        self.due().is_some_and(|due| due <= Instant::now())
    }

    /// Until when the first one waits.
    fn due(&self) -> Option<Instant> {
        self.hands.front().map(|(since, _)| *since + PATIENCE)
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
        while let Some(due) = self.due() {
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
