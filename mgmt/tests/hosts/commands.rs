use std::sync::{Arc, atomic::Ordering};

use gantry_common::{
    agent::{AgentError, CancelOperation, Command, DescribeHost, MeasureVolume, ObserveVm, PauseVm},
    id::{OperationId, VmUuid},
};
use gantry_mgmt::hosts::link::{CallError, Link};
use serde::{Deserialize, Serialize};

use super::wire::{MAX_SILENCE, Proxy, RunningAgent, Wire, authority};

fn pause() -> PauseVm {
    PauseVm { vm: VmUuid::random() }
}

fn measure() -> MeasureVolume {
    MeasureVolume { root: "/root".to_owned(), path: "/root/a".to_owned() }
}

#[tokio::test]
async fn a_repeated_operation_gets_the_first_outcome() {
    let (_directory, authority) = authority();
    let agent = RunningAgent::start(&authority).await;
    let link = agent.link(&authority).await;
    let (operation, command) = (OperationId::random(), pause());
    agent.double.gate.notify_one();
    let first = link.call(operation, &command).await.unwrap();
    let again = agent.link(&authority).await.call(operation, &command).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(agent.double.pauses.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_command_outlives_its_connection_and_its_repeat_gets_the_outcome() {
    let (_directory, authority) = authority();
    let agent = RunningAgent::start(&authority).await;
    let proxy = Proxy::to(agent.address).await;
    let through = agent.endpoint_at(proxy.address);
    let link = Link::connect(&through, authority.client_config().unwrap(), MAX_SILENCE).await.unwrap();
    let (operation, command) = (OperationId::random(), pause());
    let cut = async {
        agent.double.begun.notified().await;
        proxy.wire.send_replace(Wire::Cut);
    };
    let (outcome, ()) = tokio::join!(link.call(operation, &command), cut);
    assert!(matches!(outcome, Err(CallError::Lost { .. })), "{outcome:?}");
    link.closed().await;

    let link = agent.link(&authority).await;
    let repeated = tokio::spawn({
        let (link, command) = (link.clone(), command.clone());
        async move { link.call(operation, &command).await }
    });
    // Another command on the same connection is answered meanwhile.
    link.call(OperationId::random(), &DescribeHost {}).await.unwrap();
    agent.double.gate.notify_one();
    assert_eq!(repeated.await.unwrap().unwrap().revision, 1);
    assert_eq!(agent.double.pauses.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_operation_id_is_not_taken_for_a_second_command() {
    let (_directory, authority) = authority();
    let agent = RunningAgent::start(&authority).await;
    let link = agent.link(&authority).await;
    let operation = OperationId::random();
    link.call(operation, &DescribeHost {}).await.unwrap();
    let error = link.call(operation, &pause()).await.unwrap_err();
    assert!(matches!(error, CallError::Agent(AgentError::InvalidArgument { .. })), "{error}");
}

#[tokio::test]
async fn a_cancelled_command_ends_and_says_so() {
    let (_directory, authority) = authority();
    let agent = RunningAgent::start(&authority).await;
    let link = agent.link(&authority).await;
    let target = OperationId::random();
    let mut events = link.events().await.unwrap();
    let command = measure();
    let cancel = async {
        // Its progress shows that it runs.
        while !matches!(events.next().await.unwrap(), gantry_common::agent::Event::Progress(_)) {}
        link.call(OperationId::random(), &CancelOperation { target }).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(link.call(target, &command), cancel);
    assert_eq!(outcome, Err(CallError::Agent(AgentError::Cancelled)));
}

#[tokio::test]
async fn an_agents_refusal_arrives_as_it_was_made() {
    let (_directory, authority) = authority();
    let agent = RunningAgent::start(&authority).await;
    let vm = VmUuid::random();
    let error = agent.link(&authority).await.call(OperationId::random(), &ObserveVm { vm }).await;
    let expected = AgentError::NotFound { what: "VM".to_owned(), name: vm.to_string() };
    assert_eq!(error, Err(CallError::Agent(expected)));
}

#[derive(Serialize, Deserialize)]
struct FromTheFuture {
    text: String,
}

impl Command for FromTheFuture {
    const NAME: &'static str = "from_the_future";
    type Reply = ();
}

#[tokio::test]
async fn commands_that_are_unknown_or_too_large_are_refused() {
    let (_directory, authority) = authority();
    let agent = RunningAgent::start(&authority).await;
    let link = agent.link(&authority).await;
    let error = link.call(OperationId::random(), &FromTheFuture { text: String::new() }).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Agent(AgentError::InvalidArgument { value, .. }) if value == "from_the_future")
    );
    let large = FromTheFuture { text: "x".repeat(5 << 20) };
    let error = link.call(OperationId::random(), &large).await.unwrap_err();
    assert!(error.to_string().contains("413"), "{error}");
    link.call(OperationId::random(), &DescribeHost {}).await.unwrap();
}

#[tokio::test]
async fn an_agent_that_stops_lets_its_commands_end() {
    let (_directory, authority) = authority();
    let agent = RunningAgent::start(&authority).await;
    let link = agent.link(&authority).await;
    let mut events = link.events().await.unwrap();
    let command = pause();
    let double = Arc::clone(&agent.double);
    let stop = async {
        double.begun.notified().await;
        agent.shutdown.cancel();
        // The agent takes no new connection while the command ends.
        while Link::connect(&agent.endpoint(), authority.client_config().unwrap(), MAX_SILENCE).await.is_ok() {}
        double.gate.notify_one();
    };
    let (outcome, ()) = tokio::join!(link.call(OperationId::random(), &command), stop);
    assert_eq!(outcome.unwrap().revision, 1);
    while events.next().await.is_ok() {}
    agent.task.await.unwrap();
}
