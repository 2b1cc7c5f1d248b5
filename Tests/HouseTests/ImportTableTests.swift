import Testing

@Suite struct ImportTableTests {
  @Test func placeholder() {}
}
