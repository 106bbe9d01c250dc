//! An operator opens a guest's console in a browser, by whatever name the node is reached, works in it, and is told why it
//! ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use gantry_tests::{ALWAYS, Browser, Client, Kind, Lab, Management, Page, Site, eventually, text};
use serde_json::json;

/// How many points of the guest's screen are not black.
const LIT: &str = "(() => {
  const screen = document.querySelector('#screen canvas');
  const points = screen.getContext('2d').getImageData(0, 0, screen.width, screen.height).data;
  let lit = 0;
  for (let at = 0; at < points.length; at += 4) lit += points[at] + points[at + 1] + points[at + 2] > 0;
  return lit;
})()";

const STATUS: &str = "document.getElementById('status').textContent";

#[test]
fn a_guest_is_seen_and_worked_with_and_whoever_looks_on_is_told_when_it_stops() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let vm = site.vm_on(&client, 1, "seen & typed in", &[]);
    let host = lab.host(1);
    host.console_shows(&vm, "that it is ready", |console| (console.boots() > 0).then_some(()));
    // Nothing of it is in reach but through the node.
    assert!(!host.run("ss --no-header --listening --tcp --numeric").contains(":59"));
    let refused = client.get(&format!("/vm-instances/{vm}/console-addresses")).unwrap_err();
    assert!(refused.code == "SYS.1010" && refused.details.contains("RequestConsoleAccess"), "{refused:?}");

    let browser = Browser::start();
    let (address, token) = request(&client, &vm);
    let mut page = open(&browser, &address);
    assert_eq!(page.value_of("document.title"), "seen & typed in");
    assert_eq!(page.value_of("location.href"), json!(format!("http://{}/console", node.address())));
    eventually("the guest's screen", ALWAYS, || page.value_of(LIT).as_u64().filter(|lit| *lit > 100));
    let before = prompt_is_still(&mut page);
    page.type_in("echo typed in a browser >/dev/console\n");
    host.console_shows(&vm, "what was typed", |console| console.says("typed in a browser").then_some(()));
    eventually("what was typed, on the screen", ALWAYS, || {
        page.value_of(LIT).as_u64().filter(|lit| *lit > before + 100)
    });
    eprintln!("a picture of it: {}", page.keep_picture("console").display());

    // A second viewer has an address of its own; one that was used is of no use.
    let (other_address, other_token) = request(&client, &vm);
    let mut other = open(&browser, &other_address);
    other.type_in("echo typed by another one >/dev/console\n");
    host.console_shows(&vm, "what the other one typed", |console| console.says("typed by another one").then_some(()));
    let mut late = browser.open(&address);
    late.becomes("document.body.dataset.state === 'closed'");
    assert!(late.value_of(STATUS).as_str().unwrap().contains("This address was used"));
    assert_eq!(page.value_of("document.body.dataset.state"), "connected");

    // An operator reconnects the proxy, and has it reached by another name from then on.
    let proxy = &client.done("QueryConsoleProxyAgent", &json!({}))["inventories"][0];
    assert_eq!((text(proxy, "status"), text(proxy, "state")), ("Connected".to_owned(), "Enabled".to_owned()));
    client.done("ReconnectConsoleProxyAgent", &json!({ "agentUuids": [proxy["uuid"]] }));
    for viewer in [&mut page, &mut other] {
        viewer.becomes("document.body.dataset.state === 'closed'");
        let told = viewer.value_of(STATUS);
        assert!(told.as_str().unwrap().contains("reconnected by an operator"), "{told}");
    }
    let reached_by = |name: &str| {
        let params = json!({ "uuid": proxy["uuid"], "consoleProxyOverriddenIp": name });
        client.done("UpdateConsoleProxyAgent", &params);
    };
    reached_by("localhost");
    let (address, _) = request(&client, &vm);
    assert!(address.starts_with("http://localhost:"), "{address}");
    let mut page = open(&browser, &address);
    reached_by("");
    let (address, _) = request(&client, &vm);
    assert!(address.starts_with(&format!("http://{}/", node.address())), "{address}");
    let mut other = open(&browser, &address);

    client.act(&format!("/vm-instances/{vm}/actions"), "stopVmInstance", &json!({ "type": "cold" })).unwrap();
    for viewer in [&mut page, &mut other] {
        viewer.becomes("document.body.dataset.state === 'closed'");
        assert_eq!(viewer.value_of(STATUS), "The VM has stopped.");
        assert_eq!(viewer.complaints(), [""; 0]);
    }
    page.keep_picture("console-of-a-stopped-vm");
    assert!(!node.has_written(&token) && !node.has_written(&other_token), "a token stands in the node's data or log");
}

/// An address for a VM's console, and the token in it.
fn request(client: &Client, vm: &str) -> (String, String) {
    let granted = client.create("/consoles", &json!({ "vmInstanceUuid": vm })).unwrap();
    (text(&granted, "url"), text(&granted, "token"))
}

/// A page that shows the console.
fn open(browser: &Browser, address: &str) -> Page {
    let mut page = browser.open(address);
    page.becomes("document.body.dataset.state === 'connected'");
    page
}

/// How much is lit when nothing is being written to the screen any more: the cursor's blinking makes the rest.
fn prompt_is_still(page: &mut Page) -> u64 {
    let mut last = 0;
    eventually("the screen is still", ALWAYS, || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        let lit = page.value_of(LIT).as_u64().unwrap();
        let still = lit.abs_diff(last) < 40;
        last = lit;
        still.then_some(lit)
    })
}
