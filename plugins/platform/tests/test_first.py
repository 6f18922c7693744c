from chatproxy_platform.clock import now_us
from chatproxy_platform.storage.tables import Organization


async def test_rows_come_back(database):
    async with database.write() as session:
        session.add(Organization(id="a", name="A", created_at=now_us()))
    async with database.read() as session:
        found = await session.get(Organization, "a")
        assert found.name == "A"
