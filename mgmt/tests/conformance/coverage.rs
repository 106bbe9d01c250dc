//! What the README and the command-line client say of the API is so.

use gantry_mgmt::operations::{catalogue_json, coverage, coverage_table};

#[test]
fn the_readme_says_what_is_carried_out() {
    let readme = include_str!("../../../README.md");
    let table = readme.split_once("<!-- coverage -->\n").and_then(|(_, rest)| rest.split_once("<!-- /coverage -->"));
    let table = table.expect("the README has a place for the table").0;
    assert_eq!(table, coverage_table(), "`make coverage` writes it anew");
}

#[test]
fn the_command_line_client_knows_every_operation_as_it_is_declared() {
    let carried = include_str!("../../cli/operations.json");
    assert!(carried == catalogue_json().unwrap(), "`make coverage` writes mgmt/cli/operations.json anew");
}

#[test]
fn every_operation_is_in_a_chapter() {
    let counted: usize = coverage().iter().map(|row| row.declared).sum();
    assert_eq!(counted, gantry_mgmt::operations::all().len() - crate::differences::ADDED.len());
}
