import Testing

@testable import Device

@Suite struct MailboxTests {
  @Test func lettersKeepTheirOrderAndAFullMailboxRefuses() {
    let mailbox = Mailbox<Int>(capacity: 2)
    #expect(mailbox.take() == nil)
    #expect(mailbox.put(1) && mailbox.put(2))
    #expect(!mailbox.put(3))
    #expect(mailbox.take() == 1)
    #expect(mailbox.put(4))
    #expect(mailbox.take() == 2)
    #expect(mailbox.take() == 4)
    #expect(mailbox.take() == nil)
  }
}
