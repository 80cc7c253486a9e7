//! `/docs`: the pages of `docs/`, of this very version, for whoever an alert or a dashboard sends here.
//!
//! A page is where its file is (`/docs/runbooks/WeirDiskLow.md`), so that the links between them hold. Links to other files
//! of the source lead nowhere here and are shown as text. Everything is in the binary: no file is read.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use include_dir::{Dir, include_dir};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../docs");
/// What stands for a folder.
const INDEX: &str = "README.md";
const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}\
    pre,code{background:#8882;border-radius:3px}pre{padding:.7em;overflow:auto}:root{color-scheme:light dark}\
    table{border-collapse:collapse}td,th{border:1px solid #8885;padding:.2em .6em;text-align:left;vertical-align:top}";

pub(super) fn router() -> Router {
    Router::new()
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/", get(|| async { Html(framed("Weir", &contents(&PAGES))) }))
        .route("/docs/{*path}", get(page))
}

async fn page(Path(path): Path<String>) -> Response {
    let index = if path.ends_with('/') { format!("{path}{INDEX}") } else { path.clone() };
    let Some(text) = PAGES.get_file(index).and_then(|file| file.contents_utf8()) else {
        let said = format!("There is no page {path} in this version. All pages are at /docs/\n");
        return (StatusCode::NOT_FOUND, said).into_response();
    };
    let depth = path.matches('/').count();
    Html(framed(title(text), &rendered(text, depth))).into_response()
}

/// The first heading.
fn title(text: &str) -> &str {
    text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or("Weir")
}

fn contents(folder: &Dir<'_>) -> String {
    let mut list = String::from("<ul>");
    for file in folder.files() {
        let Some(text) = file.contents_utf8() else { continue };
        list.push_str(&format!("<li><a href=\"/docs/{}\">{}</a></li>", file.path().display(), title(text)));
    }
    for folder in folder.dirs() {
        list.push_str(&format!("<li>{}{}</li>", folder.path().display(), contents(folder)));
    }
    list.push_str("</ul>");
    list
}

/// HTML of a page that is `depth` folders below `docs/`.
fn rendered(text: &str, depth: usize) -> String {
    let mut leaves = false;
    let within = Parser::new_ext(text, Options::ENABLE_TABLES).filter(|event| match event {
        Event::Start(Tag::Link { dest_url, .. }) => {
            leaves = dest_url.matches("../").count() > depth;
            !leaves
        }
        Event::End(TagEnd::Link) => !std::mem::take(&mut leaves),
        _ => true,
    });
    let mut out = String::new();
    html::push_html(&mut out, within);
    out
}

fn framed(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style><body>{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages<'a>(folder: &'a Dir<'a>) -> Vec<&'a include_dir::File<'a>> {
        folder.files().chain(folder.dirs().flat_map(pages)).collect()
    }

    #[test]
    fn every_link_between_pages_leads_to_one() {
        let mut links = 0;
        for file in pages(&PAGES) {
            let path = file.path().to_str().unwrap();
            let page = rendered(file.contents_utf8().unwrap(), path.matches('/').count());
            for link in page.split("href=\"").skip(1).map(|rest| rest.split(['"', '#']).next().unwrap()) {
                if link.is_empty() || link.contains("://") {
                    continue;
                }
                let mut place: Vec<&str> = path.split('/').collect();
                place.pop();
                for part in link.split('/') {
                    if part == ".." {
                        place.pop();
                    } else {
                        place.push(part);
                    }
                }
                let target = place.join("/");
                assert!(
                    PAGES.get_file(&target).is_some() || PAGES.get_file(format!("{target}README.md")).is_some(),
                    "{path} links to {link}"
                );
                links += 1;
            }
        }
        assert!(links > 50, "{links}");
    }

    #[test]
    fn links_out_of_the_manual_are_text() {
        let page = rendered("[a](../b.md) [c](../../d.md)", 1);
        assert_eq!(page, "<p><a href=\"../b.md\">a</a> c</p>\n");
    }
}
