//! What operations that change how an L3 network's guests are served have in common.

use gantry_common::id::L3NetworkUuid;
use serde::Deserialize;
use serde_json::{Value, json};

use super::making::require;
use crate::{
    api::{Declaration, Declared, Operation, job},
    failure::Failure,
    hosts::refresh_network,
    job::{JobOperation, Run, Step},
    query::inventory_reply,
    resource::L3Network,
    store::Tx,
};

/// An operation that changes what the guests of an L3 network are served. Its hosts are told once it is recorded; it
/// answers with the network where its declaration says that it answers anything.
pub trait GuestNetworkChange: Declared {
    /// The parameter that names the network.
    const PARAMETER: &str = "l3NetworkUuid";

    /// The network.
    fn l3_network_uuid(&self) -> L3NetworkUuid;

    /// Records the change.
    fn record(&self, tx: &Tx<'_>, l3: L3Network) -> Result<(), Failure>;
}

/// Such an operation, as the router serves it.
pub fn change_guest_network<C: GuestNetworkChange>() -> Operation {
    job::<Changing<C>>()
}

/// The job of a [`GuestNetworkChange`].
#[derive(Clone, Deserialize)]
#[serde(transparent)]
struct Changing<C>(C);

impl<C: GuestNetworkChange> Declared for Changing<C> {
    fn declaration() -> &'static Declaration {
        C::declaration()
    }
}

impl<C: GuestNetworkChange> JobOperation for Changing<C> {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.0.l3_network_uuid().to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("record the change", |tx, run| {
                let change = &run.params.0;
                change.record(tx, require::<L3Network>(tx, C::PARAMETER, change.l3_network_uuid())?)
            }),
            Step::remote("tell the hosts", |run: Run<Self>| async move {
                refresh_network(&run.node, run.params.0.l3_network_uuid()).await;
                Ok(())
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &()) -> Result<Value, Failure> {
        if C::declaration().reply.is_empty() {
            return Ok(json!({}));
        }
        inventory_reply::<L3Network>(tx, self.0.l3_network_uuid())
    }
}
