/// The main job, on a cluster and without one.
mod main_job;

/// Definitions that change while their kinds are in use.
mod live_definitions;

/// Who may do what.
mod access;

/// Faults of definitions, of Flux, of the host.
mod faults;
