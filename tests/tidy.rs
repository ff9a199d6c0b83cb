//! Rules about the code itself: each is a function from a file, or from all of them, to complaints.
//!
//! `cargo test -p moebius-tests --test tidy`. Beside every rule stands a test that shows it something wrong.

#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/params.rs"]
mod params;
#[path = "tidy/text.rs"]
mod text;
#[path = "tidy/twins.rs"]
mod twins;

use files::{File, tracked};

/// Fails with every complaint of a rule, so that one run shows all there is to do.
fn expect_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n  {}\n", complaints.join("\n  "));
}

fn each(rule: fn(&File) -> Vec<String>) {
    let files = tracked();
    assert!(files.len() > 50, "only {} files were found: is this the repository?", files.len());
    expect_none(&files.iter().flat_map(rule).collect::<Vec<_>>());
}

#[test]
fn every_file_says_what_it_is() {
    each(text::first_line);
}

#[test]
fn no_file_is_too_long() {
    let files = tracked();
    for file in files.iter().filter(|f| f.is_source() && f.lines() > text::LONG) {
        println!("{} lines: {}", file.lines(), file.path);
    }
    expect_none(&files.iter().flat_map(text::length).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_for_later() {
    each(text::words);
}

#[test]
fn the_page_never_parses_model_output_as_html() {
    each(text::html);
}

#[test]
fn dependencies_point_one_way() {
    each(layers::layers);
}

#[test]
fn every_shader_has_its_twin() {
    expect_none(&twins::twins(&tracked(), &twins::registry()));
}

#[test]
fn parameters_have_the_same_layout_on_both_sides() {
    expect_none(&params::layouts(&tracked(), &params::shaders()));
}
