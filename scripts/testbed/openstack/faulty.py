"""Nova's fake hypervisor, and what a server's metadata asks to go wrong on it.

    x_build_s = SECONDS     the build takes that much longer
    x_fault = build         the build ends in ERROR
    x_fault = delete        the first delete fails, later ones work

Snapshots really store an image, which the fake hypervisor by itself does not.
"""

import io
import time

from nova import exception
from nova.compute import task_states
from nova.image import glance
from nova.virt import fake


class Driver(fake.FakeDriver):
    def spawn(self, context, instance, *args, **kwargs):
        wish = instance.metadata
        time.sleep(float(wish.get("x_build_s", 0)))
        if wish.get("x_fault") == "build":
            raise exception.BuildAbortException(instance_uuid=instance.uuid, reason="asked for by x_fault")
        return super().spawn(context, instance, *args, **kwargs)

    def destroy(self, context, instance, *args, **kwargs):
        failed = self.__dict__.setdefault("failed", set())
        if instance.metadata.get("x_fault") == "delete" and instance.uuid not in failed:
            failed.add(instance.uuid)
            raise exception.InstanceTerminationFailure(reason="asked for by x_fault")
        return super().destroy(context, instance, *args, **kwargs)

    def snapshot(self, context, instance, image_id, update_task_state):
        super().snapshot(context, instance, image_id, update_task_state)
        images = glance.API()
        described = {"name": images.get(context, image_id)["name"], "disk_format": "raw", "container_format": "bare"}
        images.update(context, image_id, described, io.BytesIO(b"\0" * 4096), purge_props=False)
        update_task_state(task_state=task_states.IMAGE_UPLOADING, expected_state=task_states.IMAGE_UPLOADING)
