//! Answers: how far a message is, and its result.

use gantry_common::id::JobUuid;
use serde_json::{Map, Value, json};

use super::names;
use crate::{
    clock::Timestamp,
    store::{JobPhase, JobRecord},
};

/// The answer to a message that has become a job.
pub fn processing(job: JobUuid, began: Timestamp) -> Value {
    json!({ "uuid": job, "state": "Processing", "createdDate": began.to_string() })
}

/// The answer to a message that is carried out, with its reply.
pub fn done(began: Timestamp, class: &str, reply: &Value) -> Value {
    json!({
        "state": "Done", "createdDate": began.to_string(), "finishedDate": Timestamp::now().to_string(),
        "result": json!({ class: reply }).to_string(),
    })
}

/// How far a job is, and what it came to.
pub fn of_job(job: &JobRecord) -> Value {
    let result = job.result.clone().unwrap_or_else(|| json!({}));
    let reply = match job.phase {
        JobPhase::Succeeded => success(result),
        JobPhase::Failed => failure(result),
        _ => return processing(job.uuid, job.accepted_date),
    };
    let ended = job.finished_date.unwrap_or(job.accepted_date);
    let answer = json!({ "uuid": job.uuid, "finishedDate": ended.to_string() });
    merged(done(job.accepted_date, &names::event(&job.api), &reply), answer)
}

/// A reply that says that all went well.
pub fn success(reply: Value) -> Value {
    merged(reply, json!({ "success": true }))
}

/// A reply that holds an `error`.
pub fn failure(body: Value) -> Value {
    merged(body, json!({ "success": false }))
}

fn merged(one: Value, other: Value) -> Value {
    let fields = |value: Value| match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let mut all = fields(one);
    all.extend(fields(other));
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(phase: JobPhase, result: Option<Value>) -> Value {
        of_job(&JobRecord {
            uuid: JobUuid::random(),
            number: 1,
            call_digest: String::new(),
            cancelled_by: None,
            api: "DeleteZone".to_owned(),
            params: json!({}),
            account_uuid: gantry_common::id::AccountUuid::random(),
            session_uuid: None,
            webhook: None,
            origin: None,
            phase,
            step: 0,
            state: Value::Null,
            result,
            accepted_date: Timestamp::from_millis(1_440_092_776_000),
            finished_date: Some(Timestamp::from_millis(1_440_092_777_000)),
        })
    }

    fn reply(answer: &Value) -> Value {
        let result: Value = serde_json::from_str(answer["result"].as_str().unwrap()).unwrap();
        result["org.zstack.header.zone.APIDeleteZoneEvent"].clone()
    }

    #[test]
    fn a_job_that_runs_is_processing() {
        for phase in [JobPhase::Running, JobPhase::Undoing] {
            let answer = job(phase, None);
            assert_eq!((&answer["state"], answer.get("result")), (&json!("Processing"), None));
        }
    }

    #[test]
    fn a_job_that_ended_is_done_and_says_how_in_its_result() {
        let answer = job(JobPhase::Succeeded, Some(json!({})));
        assert_eq!(answer["state"], "Done");
        assert_eq!(answer["finishedDate"], "Aug 20, 2015 5:46:17 PM");
        assert_eq!(reply(&answer), json!({ "success": true }));
        let failed = job(JobPhase::Failed, Some(json!({ "error": { "code": "SYS.1008" } })));
        assert_eq!(failed["state"], "Done");
        assert_eq!(reply(&failed), json!({ "success": false, "error": { "code": "SYS.1008" } }));
    }
}
