import Foundation
import Testing

/// Docs/images/lights.svg shows the patterns of Docs/lights.md, which another test holds to the program's table.
@Suite struct LightsPictureTests {
  @Test func thePictureShowsThePagesPatterns() async throws {
    let workspace = try Workspace()
    let drawn = try await Program.run(
      [], executable: Workspace.repository + "/Scripts/lights-picture", in: workspace.folder)
    #expect(drawn.status == 0, "\(drawn.errors)")
    let shipped = try String(contentsOfFile: Workspace.repository + "/Docs/images/lights.svg", encoding: .utf8)
    #expect(drawn.output == shipped, "make reference draws it again")
    #expect(shipped.count > 4000)
  }
}
