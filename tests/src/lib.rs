//! The real control plane as a test harness.
