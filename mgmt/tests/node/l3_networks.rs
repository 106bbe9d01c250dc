//! What L3 networks have to give: addresses, routes, the MTU.

use serde_json::{Value, json};

use super::api::{Api, details};

struct Network {
    api: Api,
    l3: String,
    range: String,
}

impl Network {
    /// An L3 network with the addresses 10.0.0.1 to 10.0.0.10, of which the gateway has the second.
    async fn start() -> Self {
        let api = Api::start().await;
        let uuid = |reply: Value| reply["inventory"]["uuid"].as_str().unwrap().to_owned();
        let zone = uuid(api.post("/zones", json!({ "name": "north" })).await.unwrap());
        let l2 = json!({ "name": "wire", "zoneUuid": zone, "physicalInterface": "eth0" });
        let l2 = uuid(api.post("/l2-networks/no-vlan", l2).await.unwrap());
        let l3 = uuid(api.post("/l3-networks", json!({ "name": "net", "l2NetworkUuid": l2 })).await.unwrap());
        let range = json!({
            "name": "ten", "startIp": "10.0.0.1", "endIp": "10.0.0.10", "netmask": "255.255.255.0", "gateway": "10.0.0.2",
        });
        let range = uuid(api.post(&format!("/l3-networks/{l3}/ip-ranges"), range).await.unwrap());
        Self { api, l3, range }
    }

    async fn free(&self, query: &str) -> Vec<Value> {
        let found = self.api.inventories(&format!("/l3-networks/{}/ip/free{query}", self.l3)).await;
        found.into_iter().map(|free| free["ip"].clone()).collect()
    }
}

#[tokio::test]
async fn free_addresses_are_listed_from_the_lowest_without_the_gateway() {
    let network = Network::start().await;
    assert_eq!(network.free("?limit=3").await, ["10.0.0.1", "10.0.0.3", "10.0.0.4"]);
    assert_eq!(network.free("?start=10.0.0.9").await, ["10.0.0.9", "10.0.0.10"]);
    assert_eq!(network.free("").await.len(), 9);
    let of_range = network.api.inventories(&format!("/l3-networks/ip-ranges/{}/ip/free?limit=1", network.range)).await;
    assert_eq!(
        of_range,
        [json!({ "ipRangeUuid": network.range, "ip": "10.0.0.1", "netmask": "255.255.255.0", "gateway": "10.0.0.2" })]
    );
}

#[tokio::test]
async fn an_address_that_is_taken_is_free_no_more() {
    let network = Network::start().await;
    let (api, l3) = (&network.api, &network.l3);
    let available =
        async |ip: &str| api.get(&format!("/l3-networks/{l3}/ip/{ip}/availability")).await["available"].clone();
    assert_eq!((available("10.0.0.1").await, available("10.0.0.2").await), (json!(true), json!(false)));
    assert_eq!(available("10.0.1.1").await, json!(false));
    let capacity = async || api.get(&format!("/ip-capacity?l3NetworkUuids={l3}")).await;
    assert_eq!(capacity().await, json!({ "totalCapacity": 9, "availableCapacity": 9 }));

    // The DHCP service takes an address.
    let provider = api.inventories("/network-services/providers").await[0]["uuid"].as_str().unwrap().to_owned();
    let services = json!({ "networkServices": { provider: ["DHCP"] } });
    api.post(&format!("/l3-networks/{l3}/network-services"), services).await.unwrap();
    let dhcp = api.get(&format!("/l3-networks/{l3}/dhcp-ip")).await["ip"].as_str().unwrap().to_owned();
    assert_eq!(available(&dhcp).await, json!(false));
    assert!(!network.free("").await.contains(&json!(dhcp)));
    assert_eq!(capacity().await, json!({ "totalCapacity": 9, "availableCapacity": 8 }));
}

#[tokio::test]
async fn a_sum_over_nothing_is_refused() {
    let network = Network::start().await;
    for path in ["/ip-capacity", "/primary-storage/capacities", "/backup-storage/capacities?all=false"] {
        let refused = network.api.call(http::Method::GET, path, Value::Null).await.unwrap_err();
        assert!(details(&refused).contains("all"), "{path}: {refused}");
    }
    let capacity = network.api.get("/ip-capacity?all=true").await;
    assert_eq!(capacity["totalCapacity"], 9);
}

#[tokio::test]
async fn a_route_is_added_once_and_removed_by_its_destination() {
    let network = Network::start().await;
    let (api, path) = (&network.api, format!("/l3-networks/{}/hostroute", network.l3));
    let route = json!({ "prefix": "10.9.1.1/16", "nexthop": "10.0.0.3" });
    let added = api.post(&path, route.clone()).await.unwrap()["inventory"]["hostRoute"].clone();
    assert_eq!((&added[0]["prefix"], &added[0]["nexthop"]), (&json!("10.9.0.0/16"), &json!("10.0.0.3")));
    let again = api.post(&path, route).await.unwrap_err();
    assert!(details(&again).contains("10.9.0.0/16"), "{again}");
    let removed = api.delete(&format!("{path}?prefix=10.9.0.0/16")).await.unwrap();
    assert_eq!(removed["inventory"]["hostRoute"], json!([]));
    let missing = api.delete(&format!("{path}?prefix=10.9.0.0/16")).await.unwrap_err();
    assert!(details(&missing).contains("10.9.0.0/16"), "{missing}");
}

#[tokio::test]
async fn the_mtu_is_that_of_ethernet_until_it_is_set() {
    let network = Network::start().await;
    let path = format!("/l3-networks/{}/mtu", network.l3);
    assert_eq!(network.api.get(&path).await, json!({ "mtu": 1500 }));
    network.api.post(&path, json!({ "mtu": 9000 })).await.unwrap();
    assert_eq!(network.api.get(&path).await, json!({ "mtu": 9000 }));
    let refused = network.api.post(&path, json!({ "mtu": 60 })).await.unwrap_err();
    assert!(details(&refused).contains("mtu '60'"), "{refused}");
}

#[tokio::test]
async fn a_network_gets_another_domain_and_category() {
    let network = Network::start().await;
    let (api, path) = (&network.api, format!("/l3-networks/{}", network.l3));
    let params = json!({ "dnsDomain": "example.org", "category": "Public", "system": true });
    let changed = api.act(&path, "updateL3Network", params).await.unwrap()["inventory"].clone();
    assert_eq!(
        (&changed["name"], &changed["dnsDomain"], &changed["category"], &changed["system"]),
        (&json!("net"), &json!("example.org"), &json!("Public"), &json!(true))
    );
    let refused = api.act(&path, "updateL3Network", json!({ "dnsDomain": "no domain" })).await.unwrap_err();
    assert!(details(&refused).contains("'no domain'"), "{refused}");
}
