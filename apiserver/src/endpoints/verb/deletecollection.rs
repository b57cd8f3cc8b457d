//! `deletecollection`: removes all selected objects, one after another, and returns them.
//!
//! Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go (DeleteCollection): not atomic.

use http::Response;

use super::{
    delete::{host_options, read_options, warn_of_left},
    list,
};
use crate::{
    encode::status::ApiError,
    endpoints::{context::Context, represent::Item},
    object::metadata,
    request::{Expected as Purpose, ListOptions},
    server::Body,
    storage::kind_store::Installed,
};

/// Tells which of the objects leave behind what was installed for them, if any does.
fn warn(context: &Context, left: &[String]) {
    let names: Vec<&str> = left.iter().map(String::as_str).collect();
    if !names.is_empty() {
        warn_of_left(context, &names);
    }
}

pub(super) async fn run(context: &Context) -> Result<Response<Body>, ApiError> {
    let representation = context.representation(Purpose::List)?;
    let mut selection = ListOptions::for_list(context.query.as_deref(), list::selectable(context))?;
    if let Some(name) = context.target.name.as_deref() {
        selection.restrict_to_name(name)?;
    }
    let options = read_options(context)?;
    options.check_for_collection()?;
    let options = host_options(&options);
    let (listing, meta) = list::page(context, &selection).await?;
    let mut removed = Vec::with_capacity(listing.items.len());
    let mut left = Vec::new();
    for (_, item) in listing.items {
        let instance = item.into_tree()?;
        let name = metadata::member(&instance, "name").to_owned();
        let namespace = metadata::member(&instance, "namespace").to_owned();
        let namespace = (!namespace.is_empty()).then_some(namespace);
        let named = context.named(&name);
        match context.store().delete(&context.projection, namespace.as_deref(), &name, &options, &named).await {
            Ok((_, installed)) => {
                if installed == Installed::Left {
                    left.push(name);
                }
                removed.push(Item::Tree(instance));
            }
            // Somebody else was faster: it is gone, as was asked.
            Err(ApiError::NotFound(_)) => removed.push(Item::Tree(instance)),
            Err(error) => {
                warn(context, &left);
                return Err(error);
            }
        }
    }
    warn(context, &left);
    list::answer(context, representation, removed, meta).await
}
