"""Writes the configuration of every service below one folder.

    configure.py FOLDER VENV KEYSTONE NOVA GLANCE NEUTRON PLACEMENT     (five ports)

Everything listens on loopback, the databases are reached through a socket in the folder, and no message broker is
needed: the parts of Nova share one process.
"""

import pathlib
import shutil
import sys

folder, venv = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
keystone, nova, glance, neutron, placement = (int(port) for port in sys.argv[3:8])
identity = f"http://127.0.0.1:{keystone}/v3"
PASSWORD = "secret"


def database(name):
    return f"mysql+pymysql://root@localhost/{name}?unix_socket={folder}/my.sock"


def client(section, user, more=""):
    return f"""
[{section}]
auth_url = {identity}
auth_type = password
username = {user}
password = {PASSWORD}
project_name = service
user_domain_id = default
project_domain_id = default
region_name = RegionOne
{more}
"""


def guarded(user):
    more = f"www_authenticate_uri = {identity}\nservice_token_roles_required = true"
    return client("keystone_authtoken", user, more).replace("region_name = RegionOne\n", "")


def write(path, *parts):
    path = folder / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts))


write(
    "keystone/keystone.conf",
    f"""
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{folder}/keystone/keystone.db?timeout=60
[fernet_tokens]
key_repository = {folder}/keystone/fernet
[credential]
key_repository = {folder}/keystone/credential
[token]
provider = fernet
[cache]
enabled = true
backend = dogpile.cache.memory
[identity]
password_hash_algorithm = bcrypt
password_hash_rounds = 4
""",
)
write(
    "placement/placement.conf",
    f"""
[placement_database]
connection = {database("placement")}
sync_on_startup = true
[api]
auth_strategy = keystone
""",
    guarded("placement"),
)
write(
    "glance/glance-api.conf",
    f"""
[DEFAULT]
use_stderr = true
enabled_backends = fs:file
[database]
connection = sqlite:///{folder}/glance/glance.db?timeout=60
[paste_deploy]
flavor = keystone
config_file = {venv}/etc/glance/glance-api-paste.ini
[glance_store]
default_backend = fs
[fs]
filesystem_store_datadir = {folder}/glance/images
[os_glance_staging_store]
filesystem_store_datadir = {folder}/glance/staging
[os_glance_tasks_store]
filesystem_store_datadir = {folder}/glance/tasks
""",
    guarded("glance"),
)
write(
    "neutron/neutron.conf",
    f"""
[DEFAULT]
use_stderr = true
core_plugin = ml2
service_plugins =
transport_url = fake://
rpc_workers = 0
rpc_state_report_workers = 0
api_workers = 1
state_path = {folder}/neutron/state
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
dhcp_agent_notification = false
agent_down_time = 2000000
api_paste_config = {venv}/etc/neutron/api-paste.ini
[database]
connection = {database("neutron")}
[oslo_concurrency]
lock_path = {folder}/neutron/state
[ml2]
type_drivers = local,flat
tenant_network_types = local
mechanism_drivers = openvswitch
extension_drivers = port_security
[securitygroup]
enable_security_group = true
[quotas]
quota_security_group = 100
""",
    guarded("neutron"),
)
write(
    "nova/nova.conf",
    f"""
[DEFAULT]
use_stderr = true
host = fake1
compute_driver = faulty.Driver
transport_url = fake://
state_path = {folder}/nova/state
instances_path = {folder}/nova/state/instances
report_interval = 10
service_down_time = 60
reclaim_instance_interval = 0
vif_plugging_is_fatal = false
vif_plugging_timeout = 0
cpu_allocation_ratio = 16
enabled_apis = osapi_compute
default_floating_pool =
[oslo_concurrency]
lock_path = {folder}/nova/state
[api_database]
connection = {database("nova_api")}
[database]
connection = {database("nova_cell1")}
[wsgi]
api_paste_config = {folder}/nova/api-paste.ini
[api]
auth_strategy = keystone
[conductor]
workers = 1
[scheduler]
workers = 1
discover_hosts_in_cells_interval = -1
[quota]
instances = 1000
cores = 4000
ram = 4000000
injected_files = 5
[glance]
api_servers = http://127.0.0.1:{glance}
""",
    guarded("nova"),
    client("placement", "nova"),
    client("neutron", "nova"),
    client("service_user", "nova", "send_service_user_token = true"),
)
shutil.copy(venv / "etc/nova/api-paste.ini", folder / "nova/api-paste.ini")
for empty in ("log", "keystone/fernet", "keystone/credential", "nova/state", "glance/images", "neutron/state"):
    (folder / empty).mkdir(parents=True, exist_ok=True)
