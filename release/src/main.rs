//! Makes what a release of Kindsmith consists of.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

/// Files of a layer, and the layer itself.
mod layer;

/// Images, and the index of them.
mod image;

/// A folder, and an archive, in the layout of the Open Container Initiative.
mod layout;

/// The processors that an image is for.
mod arch;

/// The bundle for the Operator Lifecycle Manager, as an image.
mod bundle;

/// The binary of an image.
mod binary;

/// What the binary is made of.
mod parts;

/// The licences of what the binary is made of.
mod notices;

/// The bill of materials.
mod sbom;

/// Where the sources stand.
mod source;

use arch::Arch;

/// Makes what a release of Kindsmith consists of.
#[derive(Parser)]
#[command(version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes the container image, without Docker: an archive that containerd, skopeo and podman load
    ///
    /// The archive has one image for each processor, with the binary, the licences of all that it is made of, and a bill of
    /// materials. It is the same to the byte wherever and whenever the same commit is built.
    Image(ImageArguments),
    /// Makes the image of the bundle for the Operator Lifecycle Manager, of `deploy/olm`
    ///
    /// The Deployments of the bundle name the image that --image says: the bundle is made for one image, best named by its digest.
    Bundle(BundleArguments),
}

#[derive(Args)]
struct BundleArguments {
    /// Where the image of Kindsmith is, for example registry.example.com/kindsmith@sha256:…
    #[arg(long, value_name = "NAME")]
    image: String,
    /// The name by which the bundle is loaded
    #[arg(long, value_name = "NAME:TAG", default_value_t = bundle::default_name())]
    name: String,
    /// The archive to write
    #[arg(long, value_name = "FILE", default_value = "target/image/kindsmith-bundle.oci.tar")]
    output: PathBuf,
}

fn bundle(arguments: &BundleArguments) -> anyhow::Result<()> {
    let image = bundle::image(&arguments.image, &source::commit_time()?)?;
    println!("bundle: {} bytes, {}", image.layer_bytes(), image.digest());
    let layout = layout::Layout::new(&[image], &arguments.name)?;
    layout.write(&arguments.output)?;
    println!("{}: {}", arguments.output.display(), layout.digest());
    Ok(())
}

#[derive(Args)]
struct ImageArguments {
    /// The processors to build for, with commas between them: amd64, arm64
    #[arg(long, value_name = "ARCH", value_delimiter = ',', default_value = "amd64")]
    arch: Vec<Arch>,
    /// A binary that is there already, as ARCH=FILE, instead of building it: static, for that processor
    #[arg(long, value_name = "ARCH=FILE", value_parser = arch::file)]
    binary: Vec<(Arch, PathBuf)>,
    /// The name by which the image is loaded
    ///
    /// The default is of a registry that nobody has, so that no cluster can take somebody else's image for it.
    #[arg(long, value_name = "NAME:TAG", default_value_t = image::default_name())]
    name: String,
    /// The archive to write
    #[arg(long, value_name = "FILE", default_value = "target/image/kindsmith.oci.tar")]
    output: PathBuf,
}

fn image(arguments: ImageArguments) -> anyhow::Result<()> {
    let created = source::commit_time()?;
    let mut given: BTreeMap<Arch, PathBuf> = arguments.binary.into_iter().collect();
    let mut images = Vec::new();
    for arch in arguments.arch {
        let binary = match given.remove(&arch) {
            Some(file) => binary::read(&file)?,
            None => binary::build(arch)?,
        };
        let parts = parts::of_binary(arch)?;
        let contents = image::Contents {
            binary,
            licence: source::read("LICENSE")?,
            notices: notices::text(&parts),
            bill: sbom::document(&parts, &created)?,
        };
        let image = image::Image::new(arch, &contents, &created)?;
        println!(
            "{arch}: binary {}, layer {}, {}",
            mebibytes(contents.binary.len()),
            mebibytes(image.layer_bytes()),
            image.digest()
        );
        images.push(image);
    }
    if let Some(arch) = given.keys().next() {
        anyhow::bail!("--binary {arch}=… is given, and --arch does not name {arch}");
    }
    let layout = layout::Layout::new(&images, &arguments.name)?;
    layout.write(&arguments.output)?;
    println!("{}: {}", arguments.output.display(), layout.digest());
    println!("load it on a node:  ctr --namespace k8s.io images import {}", arguments.output.display());
    Ok(())
}

/// A number of bytes as people read it.
fn mebibytes(bytes: usize) -> String {
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Image(arguments) => image(arguments).context("the image is not made"),
        Command::Bundle(arguments) => bundle(&arguments).context("the image of the bundle is not made"),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
        assert_eq!(mebibytes(11 << 20), "11.0 MiB");
        assert_eq!(mebibytes((11 << 20) + (600 << 10)), "11.5 MiB");
    }
}
