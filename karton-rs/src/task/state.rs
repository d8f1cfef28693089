//! Status and priority, with the words of the wire.

use std::{fmt, str::FromStr};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word used on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(format!("`{word}` is not one of {}", [$($word),*].join(", "))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// Where a task is in its life. See Karton protocol §4.1.
    ///
    /// ```
    /// use karton_rs::TaskState;
    /// assert_eq!("Spawned".parse(), Ok(TaskState::Spawned));
    /// ```
    TaskState {
        /// Made, not yet routed.
        Declared = "Declared",
        /// Copied into the queue of a consumer.
        Spawned = "Spawned",
        /// A consumer has it.
        Started = "Started",
        /// Done, rejected, cancelled or, for the unrouted record, routed.
        Finished = "Finished",
        /// Failed, kept for a look.
        Crashed = "Crashed",
    }
}

words! {
    /// Which queue of its receiver a task goes to; a lower one is served only when all above are empty.
    ///
    /// ```
    /// use karton_rs::TaskPriority;
    /// assert_eq!(TaskPriority::High.as_str(), "high");
    /// ```
    TaskPriority {
        /// Served first.
        High = "high",
        /// The default.
        Normal = "normal",
        /// Served last.
        Low = "low",
    }
}

impl TaskState {
    /// True while something is still to happen: neither Finished nor Crashed.
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Declared | Self::Spawned | Self::Started)
    }
}
