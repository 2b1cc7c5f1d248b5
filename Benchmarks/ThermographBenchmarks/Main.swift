@main
struct ThermographBenchmarks {
  static func main() throws {
    for suite in [try CameraBenchmarks.suite()] { suite.report() }
  }
}
