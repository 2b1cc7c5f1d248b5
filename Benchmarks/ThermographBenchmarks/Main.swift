@main
struct ThermographBenchmarks {
  static func main() throws {
    for suite in [
      try CameraBenchmarks.suite(), try VerdictBenchmarks.suite(), try VerdictBenchmarks.changeSuite(),
      ReaderBenchmarks.suite(), try SentinelBenchmarks.suite(),
    ] {
      suite.report()
    }
  }
}
