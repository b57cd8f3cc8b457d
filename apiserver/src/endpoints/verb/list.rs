//! `list`: a collection, whole or in pages at one revision, the most recent state or from the cache.
//!
//! Source: the table in https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, TryStreamExt as _, stream};
use http::{HeaderValue, Response, StatusCode, header};
use kindsmith_schema::kind::Typing;
use tokio::time::Instant;

use crate::{
    encode::{
        response::{self, COMPRESSED_BYTES_MIN},
        status::ApiError,
    },
    endpoints::{
        context::Context,
        pieces::{Coding, Pieces},
        represent::{self, Item, ListMeta},
        shown::Shown,
    },
    request::{
        ContinueRevision, ContinueToken, Expected as Purpose, Format, ListOptions, Representation, ResourceVersion,
        ResourceVersionMatch,
    },
    server::{Body, BoxError},
    storage::{
        cache::{self, CacheError, CacheListAt, Entry},
        freshness::Waiting,
        held_lists::{CollectionKey, ListKey, ReadList},
        host::{ListAt, Progress},
        texts::Texts,
    },
};

/// How long a list waits for the cache to reach a revision that the client has seen elsewhere.
const FRESHNESS_WAIT: Duration = Duration::from_secs(3);

/// Instances at one revision, in the order of their keys.
pub(super) struct Listing {
    /// Key for paging, if there are pages, and the object.
    pub(super) items: Vec<(String, Item)>,
    /// The revision.
    pub(super) revision: u64,
}

pub(super) async fn run(context: &Context) -> Result<Response<Body>, ApiError> {
    let representation = context.representation_at_last(Purpose::List)?;
    let mut options = ListOptions::for_list(context.query.as_deref(), selectable(context))?;
    if let Some(name) = context.target.name.as_deref() {
        options.restrict_to_name(name)?;
    }
    let (listing, meta) = page(context, &options).await?;
    let representation = representation?;
    let items = listing.items.into_iter().map(|(_, item)| item).collect();
    answer(context, representation, items, meta).await
}

/// The answer with a list. A large one keeps no other request waiting: it is sent piece by piece, or made aside.
pub(super) async fn answer(
    context: &Context,
    representation: Representation,
    items: Vec<Item>,
    meta: ListMeta,
) -> Result<Response<Body>, ApiError> {
    let content_type = representation.content_type();
    let projection = Arc::clone(&context.projection);
    if represent::bytes_expected(&items) < COMPRESSED_BYTES_MIN {
        let body = represent::list(&representation, &projection, items, &meta)?;
        return Ok(context.body(StatusCode::OK, content_type, body));
    }
    let accept_encoding = context.header(header::ACCEPT_ENCODING).map(str::to_owned);
    let (coding, encoding) = match response::takes_gzip(accept_encoding.as_deref()) {
        true => (Coding::Gzip, Some(HeaderValue::from_static("gzip"))),
        false => (Coding::Identity, None),
    };
    if representation.is_compact() {
        let pieces = Pieces::new(&projection, items, &meta, coding);
        let body = response::stream(stream::iter(pieces).map_err(BoxError::from));
        return Ok(Context::encoded(StatusCode::OK, content_type, body, encoding));
    }
    if !items.is_empty() && representation.format != Format::Protobuf {
        let shown = Shown::new(representation, &projection, items, &meta, coding)?;
        let body = response::stream(apart(shown).map_err(BoxError::from));
        return Ok(Context::encoded(StatusCode::OK, content_type, body, encoding));
    }
    let make = move || {
        let body = represent::list(&representation, &projection, items, &meta)?;
        Ok::<_, ApiError>(response::compress(accept_encoding.as_deref(), body))
    };
    let made = tokio::task::spawn_blocking(make).await;
    let (body, encoding) = made.map_err(|error| ApiError::Internal(format!("the list cannot be made: {error}")))??;
    Ok(Context::encoded(StatusCode::OK, content_type, response::full(body), encoding))
}

/// The pieces of a list, each of which is made away from the reactor when the one before was sent.
fn apart(shown: Shown) -> impl Stream<Item = Result<Bytes, ApiError>> + Send {
    stream::unfold(Some(shown), |shown| async {
        let mut shown = shown?;
        let made = tokio::task::spawn_blocking(move || (shown.next(), shown)).await;
        match made {
            Ok((piece, shown)) => Some((piece?, Some(shown))),
            Err(error) => Some((Err(ApiError::Internal(format!("the list cannot be made: {error}"))), None)),
        }
    })
}

/// Whether objects can be selected by a field.
pub(super) fn selectable(context: &Context) -> impl Fn(&str) -> bool {
    let version = context.projection.version();
    move |field| {
        field == "metadata.name"
            || (field == "metadata.namespace" && context.typing() == Typing::Custom)
            || version.selectable_fields.iter().any(|held| held.name == field)
    }
}

/// Whether an object is selected.
pub(super) fn selected(
    options: &ListOptions,
    name: &str,
    namespace: Option<&str>,
    labels: &Texts,
    fields: &Texts,
) -> bool {
    options.label_selector.matches(|key| labels.get(key))
        && options.field_selector.matches(|field| match field {
            "metadata.name" => Some(name),
            "metadata.namespace" => Some(namespace.unwrap_or_default()),
            other => fields.get(other),
        })
}

/// The objects that are asked for, and the metadata of the list.
pub(super) async fn page(context: &Context, options: &ListOptions) -> Result<(Listing, ListMeta), ApiError> {
    let token = options.continue_token.clone();
    let mut listing = match token.as_ref().map(|token| token.revision) {
        Some(ContinueRevision::At(revision)) => {
            exactly(context, options, revision).await.map_err(|error| expired(error, token.as_ref()))?
        }
        Some(ContinueRevision::Inconsistent) => consistent(context, options).await?,
        None => match (options.resource_version, options.resource_version_match) {
            (ResourceVersion::At(revision), Some(ResourceVersionMatch::Exact)) => {
                exactly(context, options, revision).await?
            }
            (ResourceVersion::At(revision), None) if options.limit.is_some() => {
                exactly(context, options, revision).await?
            }
            (ResourceVersion::At(revision), _) => not_older_than(context, options, revision).await?,
            (ResourceVersion::Any, _) if context.resource.view.cache().is_ready() => {
                cached(context, options, CacheListAt::Any)?
            }
            _ => consistent(context, options).await?,
        },
    };
    if let Some(token) = &token {
        listing.items.retain(|(key, _)| key.as_str() >= token.start.as_str());
    }
    let mut meta = ListMeta { resource_version: listing.revision.to_string(), ..ListMeta::default() };
    if let Some(limit) = page_objects_max(options)
        && listing.items.len() > limit
    {
        let rest = listing.items.split_off(limit);
        if let Some((last, _)) = listing.items.last() {
            let next = ContinueToken::after(ContinueRevision::At(listing.revision), last);
            meta.continue_token = Some(next.encode());
        }
        let unselected = options.label_selector.is_empty() && options.field_selector.is_empty();
        meta.remaining = unselected.then_some(rest.len());
    }
    Ok((listing, meta))
}

/// How many objects a page has at most; none where the list is wanted whole.
fn page_objects_max(options: &ListOptions) -> Option<usize> {
    usize::try_from(options.limit?.get()).ok()
}

/// A page whose revision is gone: the error carries a token with which the list can go on from the present.
fn expired(error: ApiError, token: Option<&ContinueToken>) -> ApiError {
    match (error.code(), token) {
        (410, Some(token)) => ApiError::Expired {
            message: "The provided continue parameter is too old to display a consistent list result. You can start a new \
                list without the continue parameter, or use the continue token in this response to retrieve the remainder of \
                the results. Continuing with the provided token results in an inconsistent list - objects that were created, \
                modified, or deleted between the time the first chunk was returned and now may show up in the list."
                .to_owned(),
            continue_token: Some(ContinueToken { revision: ContinueRevision::Inconsistent, start: token.start.clone() }.encode()),
        },
        _ => error,
    }
}

fn cached(context: &Context, options: &ListOptions, at: CacheListAt) -> Result<Listing, ApiError> {
    let listing =
        context.resource.view.cache().list(context.namespace(), at).map_err(|error| cache_error(context, error))?;
    Ok(Listing { items: items(options, &listing.entries), revision: listing.revision })
}

async fn from_host(context: &Context, options: &ListOptions, at: ListAt) -> Result<Listing, ApiError> {
    let origin = &context.projection.kind().origin;
    let collection = CollectionKey {
        definition: (origin.uid.clone(), origin.generation),
        api_version: context.api_version.clone(),
        resource: context.target.resource.clone(),
        namespace: context.namespace().map(str::to_owned),
    };
    let key = |revision| ListKey { collection: collection.clone(), revision };
    let held = match (at, context.store().held_lists()) {
        (ListAt::Exactly(revision), Some(lists)) => lists.get(&key(revision)).await.map(|list| (list, revision)),
        _ => None,
    };
    let (entries, revision) = match held {
        Some(held) => held,
        None => {
            let read = read(context, at);
            let (entries, revision) = match (at, context.store().held_lists()) {
                (ListAt::MostRecent, Some(lists)) => lists.most_recent(collection.clone(), read).await?,
                _ => read.await?,
            };
            // There is a next page.
            let is_paged = page_objects_max(options).is_some_and(|limit| entries.len() > limit);
            if let Some(lists) = context.store().held_lists().filter(|_| is_paged) {
                lists.hold(key(revision), Arc::clone(&entries)).await;
            }
            (entries, revision)
        }
    };
    Ok(Listing { items: items(options, &entries), revision })
}

/// Reads instances from the host, in the order of their keys, on a thread of its own.
fn read(context: &Context, at: ListAt) -> impl Future<Output = ReadList> + Send + 'static {
    let (store, projection, named) = (Arc::clone(context.store()), Arc::clone(&context.projection), context.named(""));
    let (namespace, lists) = (context.namespace().map(str::to_owned), Arc::clone(&context.offloads.lists));
    let read = async move {
        let encode = |instance| Arc::new(projection.encode(&instance, 0));
        let (mut entries, revision) = store.list(&projection, namespace.as_deref(), at, &named, encode).await?;
        entries.sort_by_cached_key(|entry: &Arc<Entry>| cache::key(entry.namespace.as_deref(), &entry.name));
        Ok((Arc::new(entries), revision))
    };
    async move { lists.run(read).await? }
}

/// The objects that are selected.
fn items(options: &ListOptions, entries: &[Arc<Entry>]) -> Vec<(String, Item)> {
    // Keys are for pages alone, and most lists have none.
    let paged = options.limit.is_some() || options.continue_token.is_some();
    entries
        .iter()
        .filter(|entry| selected(options, &entry.name, entry.namespace.as_deref(), &entry.labels, &entry.fields))
        .map(|entry| {
            let key = if paged { cache::key(entry.namespace.as_deref(), &entry.name) } else { String::new() };
            (key, Item::Held(Arc::clone(entry)))
        })
        .collect()
}

/// The most recent state: from the cache when that is proven to have it, and from the host otherwise.
async fn consistent(context: &Context, options: &ListOptions) -> Result<Listing, ApiError> {
    if context.store().has_reached(context.resource.view.cache(), Waiting::WhereItHelps).await {
        return cached(context, options, CacheListAt::Any);
    }
    most_recent(context, options).await
}

async fn most_recent(context: &Context, options: &ListOptions) -> Result<Listing, ApiError> {
    from_host(context, options, ListAt::MostRecent).await
}

async fn exactly(context: &Context, options: &ListOptions, revision: u64) -> Result<Listing, ApiError> {
    let cache = context.resource.view.cache();
    if context.store().progress() == Progress::Prompt
        && cache.is_ready()
        && cache.wait_for(revision, (Instant::now() + FRESHNESS_WAIT).into()).await.is_err()
    {
        return Err(ApiError::TooLargeResourceVersion { wanted: revision, current: cache.revision() });
    }
    match cached(context, options, CacheListAt::Exactly(revision)) {
        Ok(listing) => Ok(listing),
        Err(_) => from_host(context, options, ListAt::Exactly(revision)).await,
    }
}

async fn not_older_than(context: &Context, options: &ListOptions, revision: u64) -> Result<Listing, ApiError> {
    let cache = context.resource.view.cache();
    if !cache.is_ready() {
        return most_recent(context, options).await;
    }
    if cache.wait_for(revision, (Instant::now() + Duration::from_millis(100)).into()).await.is_ok() {
        return cached(context, options, CacheListAt::NotOlderThan(revision));
    }
    // The host moves its revision for other resources too, of which the cache hears late: ask the host.
    let listing = most_recent(context, options).await?;
    if listing.revision >= revision {
        return Ok(listing);
    }
    let waited = cache.wait_for(revision, (Instant::now() + FRESHNESS_WAIT).into()).await;
    waited.map_err(|_| ApiError::TooLargeResourceVersion { wanted: revision, current: listing.revision })?;
    cached(context, options, CacheListAt::NotOlderThan(revision))
}

/// An error of the cache as an answer.
pub(super) fn cache_error(context: &Context, error: CacheError) -> ApiError {
    match error {
        CacheError::NotReady => context.store().unavailable(&context.named("")),
        CacheError::Expired { .. } => ApiError::Expired {
            message: "The resourceVersion for the provided list is too old.".to_owned(),
            continue_token: None,
        },
        CacheError::TooNew { current } => {
            ApiError::TooLargeResourceVersion { wanted: current.saturating_add(1), current }
        }
        other => ApiError::TooManyRequests { message: other.to_string(), retry_after: 1 },
    }
}
