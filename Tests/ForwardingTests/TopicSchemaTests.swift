import Forwarding
import Provenance
import Testing

@Suite struct TopicSchemaTests {
  private func schema() throws -> TopicSchema {
    TopicSchema(site: try TopicIdentifier("clinic-7"), device: try TopicIdentifier("unit-3"))
  }

  @Test func topicsAreThoseOfTheContract() throws {
    let schema = try schema()
    #expect(schema.up("capture") == "tg/v1/clinic-7/unit-3/up/capture")
    #expect(schema.status == "tg/v1/clinic-7/unit-3/up/status")
    #expect(schema.receipts == "tg/v1/clinic-7/unit-3/dn/receipt")
    #expect(schema.downlinks(takesCommands: false) == ["tg/v1/clinic-7/unit-3/dn/receipt"])
    #expect(
      schema.downlinks(takesCommands: true)
        == ["tg/v1/clinic-7/unit-3/dn/receipt", "tg/v1/clinic-7/unit-3/dn/command"])
    let id = try #require(RandomIdentifier("9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11"))
    let suffix = try TopicSchema.imageSuffix(captureID: id, name: "master.png")
    #expect(schema.up(suffix) == "tg/v1/clinic-7/unit-3/up/image/9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11_master_png")
    #expect(!schema.up(suffix).contains("."))
    #expect(schema.up(suffix).split(separator: "/").count == 7)
    #expect(try schema.up(suffix, part: 2, of: 3) == schema.up(suffix) + "/2-of-3")
    #expect(throws: TopicError.part(index: 4, count: 3)) { try schema.up(suffix, part: 4, of: 3) }
    #expect(throws: TopicError.part(index: 0, count: 3)) { try schema.up(suffix, part: 0, of: 3) }
    #expect(throws: TopicError.part(index: 1, count: 1025)) { try schema.up(suffix, part: 1, of: 1025) }
  }

  @Test(arguments: ["", "Clinic", "a/b", "a+b", "#", "ü", "a b", "a.b", String(repeating: "a", count: 37), "a\u{0}"])
  func badIdentifiersAreRefused(text: String) {
    #expect(throws: TopicError.identifier(text)) { try TopicIdentifier(text) }
  }

  @Test(arguments: ["", ".png", "Master.png", "a/b", "a+", String(repeating: "x", count: 37)])
  func badImageNamesAreRefused(name: String) throws {
    let id = try #require(RandomIdentifier("9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11"))
    #expect(throws: TopicError.imageName(name)) { try TopicSchema.imageSuffix(captureID: id, name: name) }
  }

  @Test func everyUplinkTopicIsTakenApartAgain() throws {
    let schema = try schema()
    let id = try #require(RandomIdentifier("9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11"))
    let suffix = try TopicSchema.imageSuffix(captureID: id, name: "view.png")
    let table: [(String, UplinkTopic.Kind)] = [
      (schema.up("status"), .status), (schema.up("alert"), .alert), (schema.up("capture"), .capture),
      (schema.up("event"), .event), (schema.up("reply"), .reply), (schema.up("health"), .health),
      (schema.up(suffix), .image(captureID: id, name: "view.png", part: nil)),
      (
        try schema.up(suffix, part: 10, of: 12),
        .image(captureID: id, name: "view.png", part: UplinkTopic.Part(index: 10, count: 12))
      ),
    ]
    // Devices that were not updated yet write the dots.
    for part in ["", "/3-of-4"] {
      let old = try #require(UplinkTopic(schema.up("image/\(id).standard-error.png") + part))
      let new = try #require(
        UplinkTopic(schema.up(try TopicSchema.imageSuffix(captureID: id, name: "standard-error.png")) + part))
      #expect(old == new)
    }
    for (topic, kind) in table {
      let parsed = try #require(UplinkTopic(topic))
      #expect(parsed.kind == kind)
      #expect(parsed.schema == schema)
    }
  }

  @Test(arguments: [
    "", "tg", "tg/v1/s/d/up", "tg/v2/s/d/up/capture", "xx/v1/s/d/up/capture", "tg/v1/S/d/up/capture",
    "tg/v1/s/d/dn/capture", "tg/v1/s/d/up/nothing", "tg/v1/s/d/up/capture/more", "tg/v1/s/d/up/image",
    "tg/v1/s/d/up/image/short.png", "tg/v1/s/d/up/image/9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11",
    "tg/v1/s/d/up/image/9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11.a.png/0-of-1",
    "tg/v1/s/d/up/image/9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11.a.png/2-of-1",
    "tg/v1/s/d/up/image/9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11.a.png/01-of-2",
    "tg/v1/s/d/up/image/9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11.a.png/1-of-2000",
    "tg/v1/s/d/up/image/9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11.a.png/1-of-2/x",
    "tg/v1/s/d/up/image/9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11..png",
    "tg/v1/s/d/up/image/9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11__png",
    "tg/v1/s/d/up/image/9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11_a.png",
    "tg/v1/s/d/up/image/9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11.a_png",
    "tg/v1/s/d/up/image/9f0c1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11-a-png", "tg//s/d/up/capture", "/tg/v1/s/d/up/capture",
  ])
  func anythingElseIsNoUplinkTopic(topic: String) {
    #expect(UplinkTopic(topic) == nil)
  }
}
