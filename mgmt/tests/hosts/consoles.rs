use std::time::Duration;

use gantry_common::{
    agent::{AgentError, DescribeHost, VmState},
    id::{OperationId, VmUuid},
};
use gantry_mgmt::hosts::link::CallError;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::wire::{RunningAgent, authority};

/// The most that an agent carries at once.
const MOST: usize = 32;

#[tokio::test]
async fn what_either_end_of_a_console_says_reaches_the_other_and_the_last_of_it_comes_before_the_end() {
    let (_directory, authority) = authority();
    let agent = RunningAgent::start(&authority).await;
    *agent.double.vm_state.lock() = Some(VmState::Running);
    let link = agent.link(&authority).await;
    let vm = VmUuid::random();
    let mut viewer = link.open_console(vm).await.unwrap().stream;
    let (opened, mut screen) = agent.double.screen().await;
    assert_eq!(opened, vm);

    viewer.write_all(b"a key").await.unwrap();
    let mut heard = [0; 5];
    screen.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"a key");

    let picture: Vec<u8> = (0..3 << 20).map(|number: u32| number.to_le_bytes()[1]).collect();
    let sent = picture.clone();
    tokio::spawn(async move { screen.write_all(&sent).await.unwrap() });
    let mut seen = Vec::new();
    viewer.read_to_end(&mut seen).await.unwrap();
    assert!(seen == picture, "{} bytes of {} came", seen.len(), picture.len());
}

#[tokio::test]
async fn a_vm_that_does_not_run_has_no_console() {
    let (_directory, authority) = authority();
    let agent = RunningAgent::start(&authority).await;
    let link = agent.link(&authority).await;
    let refused = link.open_console(VmUuid::random()).await.err().unwrap();
    assert!(matches!(refused, CallError::Agent(AgentError::VmState { state: VmState::Absent, .. })), "{refused:?}");
}

#[tokio::test]
async fn consoles_that_nobody_reads_or_that_read_nothing_leave_room_for_commands() {
    let (_directory, authority) = authority();
    let agent = RunningAgent::start(&authority).await;
    *agent.double.vm_state.lock() = Some(VmState::Running);
    let link = agent.link(&authority).await;
    let mut held = Vec::new();
    for _ in 0..MOST {
        let viewer = link.open_console(VmUuid::random()).await.unwrap().stream;
        let (_, screen) = agent.double.screen().await;
        let (_viewer_out, mut viewer_in) = tokio::io::split(viewer);
        let (_screen_out, mut screen_in) = tokio::io::split(screen);
        held.push(tokio::spawn(async move { while screen_in.write_all(&[0; 65536]).await.is_ok() {} }));
        held.push(tokio::spawn(async move { while viewer_in.write_all(&[0; 65536]).await.is_ok() {} }));
        // Both ends stay, and neither reads.
        held.push(tokio::spawn(async move {
            let _kept = (_viewer_out, _screen_out);
            std::future::pending::<()>().await;
        }));
    }
    let one_more = link.open_console(VmUuid::random()).await.err().unwrap();
    assert!(one_more.to_string().contains(&MOST.to_string()), "{one_more}");
    for _ in 0..20 {
        let call = link.call(OperationId::random(), &DescribeHost {});
        timeout(Duration::from_secs(20), call).await.expect("the command stands still").unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    held.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn an_agent_that_stops_closes_its_consoles() {
    let (_directory, authority) = authority();
    let agent = RunningAgent::start(&authority).await;
    *agent.double.vm_state.lock() = Some(VmState::Running);
    let link = agent.link(&authority).await;
    let mut viewer = link.open_console(VmUuid::random()).await.unwrap().stream;
    let (_, mut screen) = agent.double.screen().await;
    agent.stop().await;
    let mut rest = Vec::new();
    // With an error or without one: it ends.
    let _ = viewer.read_to_end(&mut rest).await;
    assert_eq!(screen.read_to_end(&mut rest).await.unwrap(), 0);
}
