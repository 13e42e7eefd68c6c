"""After a snapshot was unpacked: the addresses that the databases remember become this run's.

    rehome.py FOLDER KEYSTONE NOVA GLANCE NEUTRON PLACEMENT
"""

import pathlib
import sys

import pymysql

folder = pathlib.Path(sys.argv[1]).resolve()
keystone, nova, glance, neutron, placement = sys.argv[2:7]
addresses = {
    "identity": f"{keystone}/v3",
    "compute": f"{nova}/v2.1",
    "image": glance,
    "network": neutron,
    "placement": placement,
}


def database(name):
    return pymysql.connect(user="root", unix_socket=f"{folder}/my.sock", database=name, autocommit=True).cursor()


with database("keystone") as identity:
    for kind, address in addresses.items():
        url = f"http://127.0.0.1:{address}"
        which = "select id from service where type = %s"
        identity.execute(f"update endpoint set url = %s where service_id in ({which})", (url, kind))
with database("glance") as images:
    images.execute("select id, value from image_locations")
    for at, value in images.fetchall():
        kept = f"file://{folder}/glance/images/{value.rsplit('/', 1)[1]}"
        images.execute("update image_locations set value = %s where id = %s", (kept, at))
with database("nova_api") as cells:
    for name in ("cell0", "cell1"):
        url = f"mysql+pymysql://root@localhost/nova_{name}?unix_socket={folder}/my.sock"
        cells.execute("update cell_mappings set database_connection = %s where name = %s", (url, name))
