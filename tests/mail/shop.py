"""The site whose mail is relayed."""

from __future__ import annotations

from sqlalchemy import Connection, select

from pbxtrack.storage.database import Database
from pbxtrack.storage.tables import addresses, channels
from tests.contract.site import a_site
from tests.mail.peers import BOX, STATIC


def put_shop(database: Database, key: str = "demo", box: str = BOX, static: str = STATIC) -> int:
    """Put the site in; its id."""

    def work(connection: Connection) -> int:
        site_id = a_site(connection, key=key, email=box)
        channel_id = connection.scalar(select(channels.c.id).where(channels.c.site_id == site_id))
        connection.execute(addresses.insert().values(address=static, site_id=site_id, channel_id=channel_id))
        return site_id

    with database.transaction() as connection:
        return work(connection)
