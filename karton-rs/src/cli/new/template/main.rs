//! Notes the size of each recognised sample.

use clap::Parser;
use karton_rs::{Consumer, ConsumerArgs, Task, service::run_main};
use serde_json::json;

#[derive(Parser)]
#[command(version, about)]
struct Args {
    #[command(flatten)]
    consumer: ConsumerArgs,
}

fn main() -> std::process::ExitCode {
    run_main(Args::parse().consumer.config(), |config, shutdown| async move {
        Consumer::new("karton.example-service")
            .version(env!("CARGO_PKG_VERSION"))
            .filters(json!([{"type": "sample", "stage": "recognized"}]))
            .process(|karton, task| async move {
                karton.send_task(result(&task)?).await?;
                Ok(())
            })
            .run(&config, shutdown)
            .await?;
        Ok(())
    })
}

/// What is found out about a sample; `karton.open(&sample)` reads its content.
fn result(task: &Task) -> anyhow::Result<Task> {
    let sample = task.resource("sample")?;
    let mut result = Task::new(json!({"type": "sample", "stage": "analyzed"}));
    result.set_payload("comments", vec![format!("{} bytes", sample.size.unwrap_or(0))]);
    result.set_payload("sample", sample.to_value());
    Ok(result)
}

#[cfg(test)]
mod tests;
