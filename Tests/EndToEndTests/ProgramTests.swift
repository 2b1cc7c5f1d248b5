import Testing

@Suite struct ProgramTests {
  @Test func placeholder() {}
}
