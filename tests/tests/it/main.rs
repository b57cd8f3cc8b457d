//! What is shown on the real control plane, a module a topic.

/// The control plane itself.
mod control_plane;

/// Our own processes under the harness.
mod kindsmith;

/// The main job, on a cluster and without one.
mod main_job;

/// Ours and theirs, asked the same.
mod twin;

/// Odd requests, from a table.
mod answers;

/// What is told besides the first fault.
mod alike;

/// YAML as Go reads it.
mod yaml;

/// Certificates rotate under load.
mod rotation;

/// Definitions that change while their kinds are in use.
mod live_definitions;

/// Definitions that would break their instances.
mod definition_life;

/// An installation that comes and goes.
mod installation;

/// Whether it works, and what to do where it does not.
mod doctor;

/// Kindsmith is taken out, at each stage.
mod uninstall;

/// Who may do what.
mod access;

/// What the operator is asked, and what it sends.
mod credentials;

/// What keeps a tenant from what is another's.
mod borders;

/// Server-side apply, as people and tools use it.
mod apply;

/// The most recent state, where other resources move the revision.
mod busy_cluster;

/// Faults of definitions, of Flux, of the host.
mod faults;

/// What one tenant feels of another one's attacks.
mod attacks;

/// Flux is gone, and back.
mod without_flux;

/// Settings of releases, as kube-apiserver judges them.
mod settings;

/// Connections to the cluster that are cut under writes.
mod severed;

/// Two apiservers that write the same object.
mod two_replicas;

/// Watches over websockets.
mod websocket;

/// Clients that controllers are made of.
mod clients;

/// The scale subresource.
mod scale;

/// Discovery, OpenAPI, health, errors.
mod documents;

/// OpenAPI of large definitions.
mod large_documents;

/// What is compressed, read by Go.
mod gzip;

/// Namespaces of `kindsmith dev` and of kube-apiserver.
mod namespaces;

/// A former version, upgraded and back.
mod upgrade;

/// Which operator acts.
mod election;

/// Processes that come and go.
mod availability;

/// How soon clients find kinds.
mod freshness;

/// An instance and its release, two ways.
mod release_status;
mod releases;

/// Objects of many fields and many changes.
mod sizes;

/// What the cluster refuses.
mod host_errors;

/// Lists that are taken page by page.
mod pages;

/// Settings that changed.
mod rollout;

/// With the rights that the manifests give.
mod own_rights;

/// What the status of an instance refers to.
mod references;

/// Cozystack's definitions, as they are.
mod cozystack;

/// Server-side apply against the Go implementation.
mod merge;

/// Server-side apply against the tests of its Go library.
mod merge_calls;

/// The schema engine beside kube-apiserver's: what one says, the other says.
mod differential;

/// Objects of definitions that went, under those that came.
mod former_definitions;

/// Killed at any moment: nothing acknowledged is lost.
mod crash;

/// What Argo CD sees of kinds that come and go.
mod gitops;

/// What Flux says of a release, said of its instance.
mod events;

/// What it is built of.
mod dependencies;

/// The chart, and what is generated from it.
mod chart;

/// Definitions and instances as charts of Helm.
mod helm_packages;
