//! Karton in Rust: services, broker and tools for malware-analysis pipelines.
//!
//! Services exchange [`Task`]s over Redis and files over S3. A [`Consumer`] declares which tasks it
//! wants and processes them; a [`Karton`] sends tasks and reads files; the broker in [`system`] routes
//! tasks to consumers by their headers. The protocol is that of karton-core 5.9, so Python and Rust
//! parts live in one pipeline.
#![deny(missing_docs)]

pub mod cli;
pub mod config;
pub mod filters;
pub mod json;
pub mod s3;
pub mod service;
pub mod system;
pub mod task;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;

mod backend;
mod blocking;
mod consumer;
mod dhash;
mod error;
mod folder;
mod form;
mod hex;
mod inspect;
mod karton;
mod logs;
mod own_thread;
mod reader;
mod redis_server;
mod resource;
mod storage;
#[cfg(test)]
mod vectors;

pub use backend::{AnalysisEnded, Bind, KARTON_VERSION, ServiceInfo, TaskHistory};
pub use blocking::BlockingKarton;
pub use config::{Config, ConfigError, ConfigErrorKind, RedisSettings, S3Keys, S3Settings, ServiceSettings};
pub use consumer::{Consumer, ConsumerBuilder, HandBack, RetryPolicy, StopReason};
pub use dhash::config_dhash;
pub use error::{Error, StorageErrorKind};
pub use filters::{FilterError, Filters};
pub use hex::hex;
pub use inspect::{Analysis, Inspect, QueueStatus};
pub use karton::Karton;
pub use logs::{LogConsumer, PublishLayer, Stderr};
pub use reader::ResourceReader;
pub use resource::{LocalResource, Resource, ResourceError};
pub use service::{ConsumerArgs, ServiceArgs};
pub use task::{Task, TaskError, TaskPriority, TaskState};
