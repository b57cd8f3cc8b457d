//! `kindsmith completion`: scripts by which shells complete command lines.

use clap::{CommandFactory, ValueEnum};

use crate::output;

/// What `kindsmith completion --help` says.
pub(crate) const ABOUT: &str = "\
Print a script by which a shell completes command lines

bash, with the package bash-completion; for this session, and for each one:
  source <(kindsmith completion bash)
  kindsmith completion bash > ~/.local/share/bash-completion/completions/kindsmith

zsh, for this session, and for each one; the folder must be in fpath, and compinit must run after it:
  source <(kindsmith completion zsh)
  kindsmith completion zsh > \"${fpath[1]}/_kindsmith\"

fish:
  kindsmith completion fish | source
  kindsmith completion fish > ~/.config/fish/completions/kindsmith.fish";

/// Flags of `kindsmith completion`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

/// A shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// GNU Bash
    Bash,
    /// The Z shell
    Zsh,
    /// The friendly interactive shell
    Fish,
}

/// Prints the script for a command.
///
/// # Errors
/// It cannot be printed.
pub(crate) fn print<C: CommandFactory>(arguments: &Arguments) -> anyhow::Result<()> {
    let shell = match arguments.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut C::command(), "kindsmith", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
