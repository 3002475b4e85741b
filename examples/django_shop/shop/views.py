"""What the shop answers. Bodies are JSON."""

import json
from collections.abc import Iterator
from typing import Any

from django.contrib.auth import authenticate, login
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import DecimalField, F, Sum
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse

from shop.models import Order, Product


def join(request: HttpRequest) -> JsonResponse:
    """Make a member, who is logged in from then on."""
    asked = json.loads(request.body)
    try:
        with transaction.atomic():
            member = User.objects.create_user(asked["name"], password=asked["password"])
    except IntegrityError:
        return JsonResponse({"error": "that name is taken"}, status=409)
    login(request, member)
    return JsonResponse({"id": member.pk}, status=201)


def enter(request: HttpRequest) -> JsonResponse:
    """Log a member in."""
    asked = json.loads(request.body)
    member = authenticate(request, username=asked["name"], password=asked["password"])
    if member is None:
        return JsonResponse({"error": "wrong name or password"}, status=403)
    login(request, member)
    return JsonResponse({"id": member.pk})


def products(request: HttpRequest) -> JsonResponse:
    """List what is sold, or add to it."""
    if request.method == "POST":
        made = Product.objects.create(**json.loads(request.body))
        return JsonResponse({"id": made.pk}, status=201)
    return JsonResponse({"products": list(Product.objects.order_by("name").values("name", "price", "stock"))})


@transaction.atomic
def checkout(request: HttpRequest) -> JsonResponse:
    """Sell: the stock goes down and the order is written, or neither."""
    asked = json.loads(request.body)
    buyer = User.objects.get(username=asked["buyer"])
    product = Product.objects.select_for_update().get(name=asked["product"])
    if product.stock < asked["count"]:
        return JsonResponse({"error": "not enough"}, status=409)
    Product.objects.filter(pk=product.pk).update(stock=F("stock") - asked["count"])
    order = Order.objects.create(buyer=buyer, product=product, count=asked["count"])
    return JsonResponse({"id": order.pk, "at": order.at}, status=201)


def orders(_request: HttpRequest, buyer: str) -> StreamingHttpResponse:
    """Stream a member's orders as CSV."""
    found = Order.objects.filter(buyer__username=buyer).select_related("product").order_by("at")

    def lines() -> Iterator[str]:
        for order in found.iterator(chunk_size=2):
            yield f"{order.id},{order.product.name},{order.count},{order.at.isoformat()}\n"

    return StreamingHttpResponse(lines(), content_type="text/csv")


async def sales(_request: HttpRequest) -> JsonResponse:
    """Sum up, in an async view."""
    amount = Sum(F("count") * F("product__price"), output_field=DecimalField())
    rows: list[dict[str, Any]] = [
        row async for row in Order.objects.values("product__name").annotate(sold=Sum("count"), amount=amount)
    ]
    return JsonResponse({"sales": rows, "orders": await Order.objects.acount()})
