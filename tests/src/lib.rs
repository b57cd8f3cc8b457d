//! The real control plane as a test harness, and what tests run on it.
//!
//! [`ControlPlane::start`] gives a test etcd and kube-apiserver of its own, in processes that end with it;
//! [`Kindsmith::start`] puts our operator and apiserver into it; [`Dev::start`] runs `kindsmith dev`, which needs
//! neither. [`Kubectl`] is the real kubectl on any of them. In the order in which they build on each other:

/// What is made once and stays.
mod cache;

/// Where the Go binary comes from: found in a cache, or built into it.
pub mod binary;

/// Go's gzip.
pub mod gunzip_oracle;

/// What the Go implementation of server-side apply does, as data.
pub mod merge_oracle;

/// Certificate authorities and what they sign.
pub mod pki;

/// Kubeconfig files, and clients made from them.
pub mod kubeconfig;

/// Ports that nobody listens on.
pub mod ports;

/// A server process with a log, which cannot outlive its test.
pub mod process;

/// Waiting for something with a deadline.
pub mod wait;

/// kubectl as a test calls it.
pub mod kubectl;

/// Helm as a test calls it.
pub mod helm;

/// The folder that one running control plane lives in.
pub mod instance;

/// etcd and kube-apiserver, running.
pub mod control_plane;

/// The `kindsmith` binary, as fresh as its sources.
pub mod program;

/// The operator and the apiserver as processes on a control plane.
pub mod kindsmith;

/// A TCP balancer that stands for a Service.
pub mod balancer;

/// A TCP line that can be cut.
pub mod line;

/// Several apiservers behind a balancer.
pub mod replicated;

/// `kindsmith dev` as a process.
pub mod dev;

/// One tenant attacks while another one works.
pub mod attack;

/// A websocket client that shows everything.
pub mod websocket;

/// Clients as controllers are written in Go.
pub mod go_clients;

/// The engine of Argo CD.
pub mod gitops_engine;

/// What Go programs make of public modules for tests of the chart.
pub mod go_tools;

/// The chart, rendered.
pub mod chart;

/// The bundle for the Operator Lifecycle Manager, made of the chart.
pub mod bundle;

/// A real node.
pub mod node;

/// One kind served by both, asked the same.
pub mod twin;

pub use control_plane::{Builder, ControlPlane};
pub use dev::Dev;
pub use helm::Helm;
pub use kindsmith::{Accounts, Kindsmith, NAMESPACE};
pub use kubectl::Kubectl;
pub use replicated::Replicated;
