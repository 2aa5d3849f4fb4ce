//! The chats' pages.

use std::convert::Infallible;
use std::future::Ready;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tower::util::{ServiceFn, service_fn};
use towpath_layer_core::{Entropy as _, SystemEntropy};

const CHAT: &str = include_str!("../../assets/chat.html");
const TOPICS: &str = include_str!("../../assets/topics/index.html");

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What the pages ask for: their icon, and the scripts of the one with topics,
/// its own and the client.
const FILES: [(&str, &str, &str); 4] = [
    (
        "/icon.svg",
        "image/svg+xml",
        include_str!("../../assets/icon.svg"),
    ),
    (
        "/topics/main.js",
        SCRIPT,
        include_str!("../../assets/topics/main.js"),
    ),
    (
        "/topics/chat.js",
        SCRIPT,
        include_str!("../../assets/topics/chat.js"),
    ),
    (
        "/topics/towpath.js",
        SCRIPT,
        include_str!("../../../clients/js/dist/towpath.js"),
    ),
];

type Answer = Ready<Result<Response<Full<Bytes>>, Infallible>>;

/// Answers `/` and `/topics` with their pages and everything unknown with 404.
pub(crate) fn service() -> ServiceFn<fn(Request<Incoming>) -> Answer> {
    service_fn(|request| std::future::ready(Ok(answer(request.method(), request.uri().path()))))
}

fn answer(method: &Method, path: &str) -> Response<Full<Bytes>> {
    let file = FILES.iter().find(|(known, ..)| *known == path);
    let known = matches!(path, "/" | "/topics") || file.is_some();
    match (path, file, method) {
        (.., other) if known && !matches!(*other, Method::GET | Method::HEAD) => plain(
            StatusCode::METHOD_NOT_ALLOWED,
            &[(ALLOW, "GET, HEAD")],
            "only GET\n",
        ),
        ("/", ..) => page(CHAT),
        ("/topics", ..) => page(TOPICS),
        (_, Some((_, kind, file)), _) => respond(
            StatusCode::OK,
            &[
                (CONTENT_TYPE, kind),
                (CACHE_CONTROL, "no-cache"),
                (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ],
            Bytes::from_static(file.as_bytes()),
        ),
        _ => plain(
            StatusCode::NOT_FOUND,
            &[],
            "there is nothing here; the chats are at / and /topics\n",
        ),
    }
}

/// A page. The script and style in it run because they carry a number that nobody
/// could have written into the page beforehand; scripts beside it are the server's.
fn page(page: &str) -> Response<Full<Bytes>> {
    let nonce = format!("{:032x}", SystemEntropy.next_u128());
    let body = page
        .replacen("<style>", &format!("<style nonce=\"{nonce}\">"), 1)
        .replacen("<script>", &format!("<script nonce=\"{nonce}\">"), 1);
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}' 'self'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let fields = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, &policy),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    respond(StatusCode::OK, &fields, body.into())
}

fn plain(
    status: StatusCode,
    fields: &[(HeaderName, &str)],
    text: &'static str,
) -> Response<Full<Bytes>> {
    let mut all = vec![(CONTENT_TYPE, "text/plain; charset=utf-8")];
    all.extend_from_slice(fields);
    respond(status, &all, Bytes::from_static(text.as_bytes()))
}

fn respond(
    status: StatusCode,
    fields: &[(HeaderName, &str)],
    body: Bytes,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    for (name, value) in fields {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn the_policy_names_the_number_on_script_and_style() {
        let (head, body) = answer(&Method::GET, "/").into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let page = std::str::from_utf8(&body).unwrap();
        let policy = head.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        let (_, nonce) = policy.split_once("script-src 'nonce-").unwrap();
        let (nonce, _) = nonce.split_once('\'').unwrap();
        assert!(page.contains(&format!("<script nonce=\"{nonce}\">")));
        assert!(page.contains(&format!("<style nonce=\"{nonce}\">")));
        let (again, _) = answer(&Method::GET, "/").into_parts();
        assert_ne!(again.headers[CONTENT_SECURITY_POLICY], policy);
    }

    #[test]
    fn what_is_not_the_page_is_refused() {
        assert_eq!(
            answer(&Method::POST, "/").status(),
            StatusCode::METHOD_NOT_ALLOWED
        );
        assert_eq!(answer(&Method::GET, "/x").status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn the_pages_find_what_they_ask_for() {
        for page in [CHAT, TOPICS] {
            assert!(page.contains("href=\"/icon.svg\""), "{page}");
        }
        for path in [
            "/topics",
            "/icon.svg",
            "/topics/main.js",
            "/topics/chat.js",
            "/topics/towpath.js",
        ] {
            assert_eq!(
                answer(&Method::GET, path).status(),
                StatusCode::OK,
                "{path}"
            );
        }
    }
}
