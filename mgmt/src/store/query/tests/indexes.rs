//! The database finds what is commonly asked by its indexes.

use rusqlite::{Connection, params_from_iter};

use super::{database, resource};
use crate::{
    api::parse_query_string,
    query::{Plan, Query, View},
    resource::{ALL, by_name},
    store::query::{compile, scope::Search},
};

/// The columns that an index of the table begins with.
fn leading(connection: &Connection, table: &str) -> Vec<String> {
    let sql = "SELECT info.name FROM pragma_index_list(?) AS list, pragma_index_info(list.name) AS info WHERE info.seqno = 0 AND NOT list.partial";
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([table], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Whether a view's rows are found by this column without reading all of them.
fn is_searched(connection: &Connection, view: &str, column: &str) -> bool {
    let sql = format!("EXPLAIN QUERY PLAN SELECT * FROM {view} WHERE {column} = ?");
    let plan = connection.query_row(&sql, ["x"], |row| row.get::<_, String>("detail")).unwrap();
    leading(connection, view).is_empty() && plan.starts_with("SEARCH")
}

#[test]
fn every_column_that_a_relation_goes_by_leads_an_index() {
    let connection = database();
    let check = |table: &str, column: &str, relation: &str| {
        assert!(
            leading(&connection, table).iter().any(|leads| leads == column) || is_searched(&connection, table, column),
            "relation {relation} goes by {table}.{column}: a migration must add CREATE INDEX … ON {table} ({column})"
        );
    };
    for declaration in ALL.iter() {
        for relation in declaration.relations {
            let name = format!("{}.{}", declaration.name, relation.name);
            check(declaration.table, relation.local, &name);
            check(by_name(relation.target).unwrap().table, relation.remote, &name);
            if let Some(via) = &relation.via {
                check(via.table, via.local, &name);
                check(via.table, via.remote, &name);
            }
        }
    }
}

#[test]
fn every_resource_has_an_identity() {
    let connection = database();
    for declaration in ALL.iter().filter(|declaration| declaration.identity().len() == 1) {
        let sql = "SELECT name FROM pragma_table_info(?) WHERE pk > 0";
        let keys: Vec<String> = connection
            .prepare(sql)
            .unwrap()
            .query_map([declaration.table], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(keys, [declaration.key().name], "{}", declaration.name);
    }
}

const OPERATOR: (View, Search) = (View::Operator, Search::EachRow);

/// How the database would go about a query, a step a line.
fn steps(connection: &Connection, (view, search): (View, Search), resource_name: &str, query_string: &str) -> String {
    let declaration = resource(resource_name);
    let query = Query::parse(&parse_query_string(query_string)).unwrap();
    let plan = Plan::new(declaration, &query, view).unwrap();
    let columns: Vec<_> = declaration.columns.iter().filter(|column| column.public).collect();
    let sql = compile::page(&plan, search, &columns);
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", sql.text)).unwrap();
    let steps = statement.query_map(params_from_iter(&sql.values), |row| row.get::<_, String>("detail")).unwrap();
    steps.collect::<Result<Vec<_>, _>>().unwrap().join("\n")
}

#[test]
fn what_is_commonly_asked_is_found_by_index() {
    let connection = database();
    let uuid = "8aef7e3a53b34eedaa05027a919156d9";
    for (resource_name, query, indexes) in [
        ("VmInstance", format!("q=uuid={uuid}"), &["PRIMARY KEY (uuid=?)"][..]),
        ("VmInstance", "q=name=web".to_owned(), &["vm_instance_name (name=?)"]),
        ("VmInstance", format!("q=hostUuid={uuid}"), &["vm_instance_host (host_uuid=?)"]),
        ("VmInstance", format!("q=clusterUuid={uuid}"), &["vm_instance_cluster (cluster_uuid=?)"]),
        ("VmInstance", "q=vmNics.ip=10.0.0.7".to_owned(), &["vm_nic_ip (ip=?)"]),
        ("VmInstance", "q=host.managementIp=10.0.0.7".to_owned(), &["sqlite_autoindex_host_2 (management_ip=?)"]),
        (
            "VmInstance",
            "q=vmNics.l3Network.l2Network.cluster.name=a".to_owned(),
            &["COVERING INDEX vm_nic_l3 (l3_network_uuid=?)", "l3_network_l2 (l2_network_uuid=?)"],
        ),
        (
            "VmInstance",
            "q=allVolumes.primaryStorage.name=a".to_owned(),
            &["COVERING INDEX volume_storage (primary_storage_uuid=?)"],
        ),
        ("VmInstance", "q=__systemTag__=a".to_owned(), &["COVERING INDEX system_tag_tag (tag=?)"]),
        ("VmInstance", "q=__userTag__=a".to_owned(), &["COVERING INDEX user_tag_tag (tag=?)"]),
        ("VmInstance", "sort=-createDate".to_owned(), &["SCAN vm_instance USING INDEX vm_instance_create_date"]),
        ("VmInstance", "sort=%2Bname".to_owned(), &["SCAN vm_instance USING INDEX vm_instance_name"]),
        (
            "VmInstance",
            "start=20000".to_owned(),
            &[
                "SCAN vm_instance USING COVERING INDEX vm_instance_uuid",
                "SEARCH vm_instance USING PRIMARY KEY (uuid=?)",
            ],
        ),
        (
            "VmInstance",
            "start=20000&sort=-createDate".to_owned(),
            &["SCAN vm_instance USING COVERING INDEX vm_instance_create_date"],
        ),
        ("Volume", format!("q=vmInstanceUuid={uuid}"), &["volume_vm (vm_instance_uuid=?)"]),
        ("Volume", "q=name=root".to_owned(), &["volume_name (name=?)"]),
        ("VmNic", format!("q=l3NetworkUuid={uuid}"), &["vm_nic_l3 (l3_network_uuid=?)"]),
        ("Zone", "q=cluster.host.vmInstance.name=a".to_owned(), &["vm_instance_name (name=?)"]),
        ("IpRange", format!("q=l3NetworkUuid={uuid}"), &["ip_range_l3 (l3_network_uuid=?)"]),
    ] {
        let steps = steps(&connection, OPERATOR, resource_name, &query);
        for index in indexes {
            assert!(steps.contains(index), "{query} does not use {index}:\n{steps}");
        }
        if query.starts_with("q=") {
            assert!(!steps.contains(&format!("SCAN {}", resource(resource_name).table)), "{query}:\n{steps}");
        }
        assert!(!query.starts_with("sort") || !steps.contains("TEMP B-TREE"), "{query}:\n{steps}");
    }
}

#[test]
fn a_page_without_conditions_reads_no_more_than_the_page() {
    let connection = database();
    for declaration in ALL.iter().filter(|declaration| declaration.is_tagged()) {
        let steps = steps(&connection, OPERATOR, declaration.name, "limit=20");
        assert!(!steps.contains("TEMP B-TREE"), "{}:\n{steps}", declaration.name);
    }
}

#[test]
fn nothing_is_looked_up_for_the_operator() {
    for declaration in ALL.iter() {
        let query = Query::parse(&parse_query_string("replyWithCount=true")).unwrap();
        let plan = Plan::new(declaration, &query, View::Operator).unwrap();
        for sql in [compile::page(&plan, Search::EachRow, &[]), compile::total(&plan, Search::EachRow)] {
            assert!(!sql.text.contains("account_uuid = ?") && !sql.text.contains("WHERE"), "{}", sql.text);
        }
    }
}

#[test]
fn what_an_account_owns_is_found_by_index() {
    let connection = database();
    let account = View::Account(gantry_common::id::AccountUuid::random());
    let by_owner = "COVERING INDEX account_resource_ref_account (account_uuid=? AND resource_type=?)";
    for (search, query, indexes) in [
        (Search::Listed, "limit=100", &[by_owner, "SEARCH vm_instance USING PRIMARY KEY (uuid=?)"][..]),
        (Search::Listed, "q=vmNics.l3Network.name=a", &[by_owner, "SEARCH vm_nic USING PRIMARY KEY (uuid=?)"]),
        (
            Search::EachRow,
            "sort=-createDate",
            &[
                "SCAN vm_instance USING INDEX vm_instance_create_date",
                "SEARCH account_resource_ref USING PRIMARY KEY (resource_uuid=?)",
            ],
        ),
        (Search::EachRow, "q=name=web", &["vm_instance_name (name=?)", "PRIMARY KEY (resource_uuid=?)"]),
    ] {
        let steps = steps(&connection, (account, search), "VmInstance", query);
        for index in indexes {
            assert!(steps.contains(index), "{query} does not use {index}:\n{steps}");
        }
    }
}
