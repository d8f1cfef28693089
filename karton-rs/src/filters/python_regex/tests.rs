//! Both engines against what Python answers.
