"""After a snapshot was unpacked: the addresses that the databases remember become this run's.

    rehome.py FOLDER KEYSTONE NOVA GLANCE NEUTRON PLACEMENT
"""

import pathlib
import sqlite3
import sys

import pymysql

folder = pathlib.Path(sys.argv[1]).resolve()
keystone, nova, glance, neutron, placement = sys.argv[2:7]
paths = {
    "identity": f"{keystone}/v3",
    "compute": f"{nova}/v2.1",
    "image": glance,
    "network": neutron,
    "placement": placement,
}
with sqlite3.connect(folder / "keystone/keystone.db") as identity:
    services = identity.execute("select id, type from service").fetchall()
    for service, kind in services:
        url = f"http://127.0.0.1:{paths[kind]}"
        identity.execute("update endpoint set url = ? where service_id = ?", (url, service))
with sqlite3.connect(folder / "glance/glance.db") as images:
    for at, value in images.execute("select id, value from image_locations").fetchall():
        kept = f"file://{folder}/glance/images/{value.rsplit('/', 1)[1]}"
        images.execute("update image_locations set value = ? where id = ?", (kept, at))
cells = pymysql.connect(user="root", unix_socket=f"{folder}/my.sock", database="nova_api", autocommit=True)
with cells.cursor() as cursor:
    for name in ("cell0", "cell1"):
        url = f"mysql+pymysql://root@localhost/nova_{name}?unix_socket={folder}/my.sock"
        cursor.execute("update cell_mappings set database_connection = %s where name = %s", (url, name))
