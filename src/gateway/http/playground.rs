//! `/docs`: a page to try the gateway with, around the JavaScript client. All of it is in the binary.

use axum::{
    extract::{Path, State},
    http::{
        Uri,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
};

use super::{App, answer};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Nothing from elsewhere, and nothing inline; only the gateway that is tried may be another one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
    connect-src 'self' ws: wss: http: https:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file below `/docs/`, its type and its text.
type File = (&'static str, &'static str, &'static str);

macro_rules! own {
    ($($kind:ident $name:literal),* $(,)?) => { [$(($name, $kind, include_str!(concat!("playground/", $name)))),*] };
}

macro_rules! client {
    ($($name:literal),* $(,)?) => {
        [$((
            concat!("client/", $name),
            JS,
            include_str!(concat!("../../../clients/javascript/src/", $name)),
        )),*]
    };
}

const PAGE: &str = include_str!("playground/index.html");
const OWN: [File; 9] = own![
    CSS "style.css",
    JS "address.js",
    JS "chart.js",
    JS "events.js",
    JS "held.js",
    JS "log.js",
    JS "playground.js",
    JS "refusal.js",
    JS "sockets.js",
];
const CLIENT: [File; 18] = client![
    "acks.js",
    "backoff.js",
    "client.js",
    "closing.js",
    "connection.js",
    "errors.js",
    "events.js",
    "feed.js",
    "index.js",
    "limits.js",
    "pattern-feed.js",
    "publishes.js",
    "queue.js",
    "refresh.js",
    "replays.js",
    "stream.js",
    "subscription.js",
    "topic.js",
];

/// The page itself.
pub(super) async fn page(State(app): State<App>, uri: Uri) -> Response {
    if app.describes() { file(HTML, PAGE) } else { answer::not_found(uri).await }
}

/// What the page is made of.
pub(super) async fn part(State(app): State<App>, Path(name): Path<String>, uri: Uri) -> Response {
    let found = OWN.iter().chain(&CLIENT).find(|(own, ..)| *own == name);
    match found.filter(|_| app.describes()) {
        Some((_, kind, text)) => file(kind, text),
        None => answer::not_found(uri).await,
    }
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        // Another version of the gateway has another page.
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path};

    use super::*;

    fn names_in(folder: &str) -> impl Iterator<Item = String> {
        let folder = path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap())
    }

    fn names_of(files: &[File]) -> BTreeSet<String> {
        files.iter().map(|(name, ..)| (*name).to_owned()).collect()
    }

    #[test]
    fn the_page_has_the_whole_client_and_all_of_its_own() {
        let there = names_in("clients/javascript/src").map(|name| format!("client/{name}"));
        assert_eq!(there.collect::<BTreeSet<_>>(), names_of(&CLIENT));
        let own = names_in("src/gateway/http/playground").filter(|name| name != "index.html");
        assert_eq!(own.collect::<BTreeSet<_>>(), names_of(&OWN));
    }

    #[test]
    fn everything_that_is_imported_is_there() {
        let names: Vec<_> = OWN.iter().chain(&CLIENT).map(|(name, ..)| *name).collect();
        for (name, _, text) in OWN.iter().chain(&CLIENT) {
            let folder = name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
            for rest in text.split(" from './").skip(1) {
                let wanted = format!("{folder}{}", rest.split('\'').next().unwrap());
                assert!(names.contains(&wanted.as_str()), "{name} imports {wanted}");
            }
        }
    }
}
