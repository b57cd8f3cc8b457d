//! What is shown on the real control plane, a module a topic.

mod control_plane;

mod kindsmith;
