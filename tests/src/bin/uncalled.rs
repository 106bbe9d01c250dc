//! Names the operations that no scenario called, from the requests that the scenarios wrote down.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(file) = std::env::args_os().nth(1) else {
        eprintln!("uncalled: name the file that GANTRY_CALLS named");
        return ExitCode::from(2);
    };
    match gantry_tests::uncalled(file.as_ref()) {
        Ok(uncalled) if uncalled.is_empty() => {
            println!("every operation that is carried out was called");
            ExitCode::SUCCESS
        }
        Ok(uncalled) => {
            println!("{} operations were not called: {}", uncalled.len(), uncalled.join(", "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("uncalled: {}: {error}", file.display());
            ExitCode::from(2)
        }
    }
}
